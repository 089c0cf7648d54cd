// Peer (a): the selection of the public df103 tutorial as a compiled RDataFrame, one event loop.
//
// Every node is a lambda with declared column types, so nothing is compiled while it runs. The
// rules, the integer truncation of the running best mass included, are those of
// docs (selection=published); the structure (a chain of Filter and Define per channel, RVec
// expressions, PtEtaPhiM four-vectors) is what a user of RDataFrame would write.

#include "measure.hpp"

#include <Math/Vector4D.h>
#include <ROOT/RDataFrame.hxx>
#include <ROOT/RVec.hxx>
#include <TH1D.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>

using ROOT::RDF::RNode;
using ROOT::Math::PtEtaPhiMVector;
using Floats = ROOT::RVec<float>;
using Ints = ROOT::RVec<int>;
using Indices = std::array<std::array<std::size_t, 2>, 2>; // the leptons of two pairs

namespace {

constexpr double z_mass = 91.2; // GeV, the tutorial's value

Floats significance(const Floats &dxy, const Floats &dz, const Floats &dxy_err,
                    const Floats &dz_err) {
  return sqrt(dxy * dxy + dz * dz) / sqrt(dxy_err * dxy_err + dz_err * dz_err);
}

bool near_vertex(const Floats &sip3d, const Floats &dxy, const Floats &dz) {
  return All(sip3d < 4) && All(abs(dxy) < 0.5) && All(abs(dz) < 1.0);
}

bool isolated(const Floats &isolation) { return All(abs(isolation) < 0.40); }

bool two_and_two(const Ints &charge) {
  return charge.size() == 4 && Sum(charge == 1) == 2 && Sum(charge == -1) == 2;
}

// The opposite-charge pair that the tutorial takes for the best Z, and the other two leptons.
Indices find_pairs(const Floats &pt, const Floats &eta, const Floats &phi, const Floats &mass,
                   const Ints &charge) {
  Indices pairs{};
  int best_mass = -1; // an integer, as in the tutorial: later pairs meet a truncated mass
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = i + 1; j < 4; ++j) {
      if (charge[i] == charge[j])
        continue;
      const PtEtaPhiMVector one(pt[i], eta[i], phi[i], mass[i]);
      const PtEtaPhiMVector two(pt[j], eta[j], phi[j], mass[j]);
      const double this_mass = (one + two).M();
      if (std::abs(z_mass - this_mass) < std::abs(z_mass - best_mass)) {
        best_mass = static_cast<int>(this_mass);
        pairs[0] = {i, j};
      }
    }
  }
  std::size_t filled = 0;
  for (std::size_t k = 0; k < 4 && filled < 2; ++k) {
    if (k != pairs[0][0] && k != pairs[0][1])
      pairs[1][filled++] = k;
  }
  return pairs;
}

bool pairs_apart(const Indices &pairs, const Floats &eta, const Floats &phi) {
  for (const auto &[i, j] : pairs) {
    if (ROOT::VecOps::DeltaR(eta[i], eta[j], phi[i], phi[j]) < 0.02)
      return false;
  }
  return true;
}

Floats nearer_first(float one, float two) {
  if (std::abs(one - z_mass) < std::abs(two - z_mass))
    return {one, two};
  return {two, one};
}

Floats z_masses(const Indices &pairs, const Floats &pt, const Floats &eta, const Floats &phi,
                const Floats &mass) {
  std::array<float, 2> found{};
  for (std::size_t k = 0; k < 2; ++k) {
    const auto [i, j] = pairs[k];
    const PtEtaPhiMVector one(pt[i], eta[i], phi[i], mass[i]);
    const PtEtaPhiMVector two(pt[j], eta[j], phi[j], mass[j]);
    found[k] = static_cast<float>((one + two).M());
  }
  return nearer_first(found[0], found[1]);
}

float mass_of_four(const Floats &pt, const Floats &eta, const Floats &phi, const Floats &mass) {
  PtEtaPhiMVector sum(pt[0], eta[0], phi[0], mass[0]);
  for (std::size_t i = 1; i < 4; ++i)
    sum += PtEtaPhiMVector(pt[i], eta[i], phi[i], mass[i]);
  return static_cast<float>(sum.M());
}

struct Booked {
  ROOT::RDF::RResultPtr<ULong64_t> selected;
  ROOT::RDF::RResultPtr<TH1D> mass;
};

Booked book(RNode node) {
  auto selected =
      node.Filter([](const Floats &z) { return z[0] > 40 && z[0] < 120; }, {"Z_mass"},
                  "Mass of first Z candidate in [40, 120]")
          .Filter([](const Floats &z) { return z[1] > 12 && z[1] < 120; }, {"Z_mass"},
                  "Mass of second Z candidate in [12, 120]");
  return {selected.Count(),
          selected.Histo1D<float>({"m4l", "", bench::bins, 70, 180}, "H_mass")};
}

template <typename Counter>
Booked book_four(RNode events, const std::string &flavour, const std::string &isolation,
                 float min_pt, double max_eta) {
  const auto column = [&flavour](const char *name) { return flavour + "_" + name; };
  auto node =
      events
          .Filter([](Counter leptons) { return leptons >= 4; }, {"n" + flavour},
                  "At least four leptons")
          .Filter(isolated, {column(isolation.c_str())}, "Require good isolation")
          .Filter([min_pt, max_eta](const Floats &pt, const Floats &eta) {
            return All(pt > min_pt) && All(abs(eta) < max_eta);
          }, {column("pt"), column("eta")}, "Good kinematics")
          .Define("sip3d", significance,
                  {column("dxy"), column("dz"), column("dxyErr"), column("dzErr")})
          .Filter(near_vertex, {"sip3d", column("dxy"), column("dz")},
                  "Track close to primary vertex with small uncertainty")
          .Filter(two_and_two, {column("charge")}, "Two positive and two negative leptons")
          .Define("Z_idx", find_pairs,
                  {column("pt"), column("eta"), column("phi"), column("mass"), column("charge")})
          .Filter(pairs_apart, {"Z_idx", column("eta"), column("phi")},
                  "Delta R separation of leptons building Z system")
          .Define("Z_mass", z_masses,
                  {"Z_idx", column("pt"), column("eta"), column("phi"), column("mass")})
          .Define("H_mass", mass_of_four,
                  {column("pt"), column("eta"), column("phi"), column("mass")});
  return book(node);
}

bool leading_two(const Floats &pt) {
  const auto sorted = Reverse(Sort(pt));
  return sorted[0] > 20 && sorted[1] > 10;
}

template <typename Counter> Booked book_mixed(RNode events) {
  auto node =
      events
          .Filter([](Counter electrons, Counter muons) { return electrons >= 2 && muons >= 2; },
                  {"nElectron", "nMuon"}, "At least two electrons and two muons")
          .Filter([](const Floats &electron_eta, const Floats &muon_eta) {
            return All(abs(electron_eta) < 2.5) && All(abs(muon_eta) < 2.4);
          }, {"Electron_eta", "Muon_eta"}, "Eta cuts")
          .Filter([](const Floats &muon_pt, const Floats &electron_pt) {
            return leading_two(muon_pt) || leading_two(electron_pt);
          }, {"Muon_pt", "Electron_pt"}, "Pt cuts")
          .Filter([](const Floats &muon_eta, const Floats &muon_phi, const Floats &electron_eta,
                     const Floats &electron_phi) {
            using ROOT::VecOps::DeltaR;
            return DeltaR(muon_eta[0], muon_eta[1], muon_phi[0], muon_phi[1]) >= 0.02 &&
                   DeltaR(electron_eta[0], electron_eta[1], electron_phi[0], electron_phi[1]) >=
                       0.02;
          }, {"Muon_eta", "Muon_phi", "Electron_eta", "Electron_phi"}, "Delta R cuts")
          .Filter([](const Floats &electron, const Floats &muon) {
            return isolated(electron) && isolated(muon);
          }, {"Electron_pfRelIso03_all", "Muon_pfRelIso04_all"}, "Require good isolation")
          .Define("Electron_sip3d", significance,
                  {"Electron_dxy", "Electron_dz", "Electron_dxyErr", "Electron_dzErr"})
          .Filter(near_vertex, {"Electron_sip3d", "Electron_dxy", "Electron_dz"},
                  "Electron track close to primary vertex with small uncertainty")
          .Define("Muon_sip3d", significance, {"Muon_dxy", "Muon_dz", "Muon_dxyErr", "Muon_dzErr"})
          .Filter(near_vertex, {"Muon_sip3d", "Muon_dxy", "Muon_dz"},
                  "Muon track close to primary vertex with small uncertainty")
          .Filter([](const Ints &electron, const Ints &muon) {
            return Sum(electron) == 0 && Sum(muon) == 0;
          }, {"Electron_charge", "Muon_charge"}, "Two opposite charged pairs")
          .Define("Z_mass", [](const Floats &mu_pt, const Floats &mu_eta, const Floats &mu_phi,
                               const Floats &mu_mass, const Floats &el_pt, const Floats &el_eta,
                               const Floats &el_phi, const Floats &el_mass) {
            const PtEtaPhiMVector mu0(mu_pt[0], mu_eta[0], mu_phi[0], mu_mass[0]);
            const PtEtaPhiMVector mu1(mu_pt[1], mu_eta[1], mu_phi[1], mu_mass[1]);
            const PtEtaPhiMVector el0(el_pt[0], el_eta[0], el_phi[0], el_mass[0]);
            const PtEtaPhiMVector el1(el_pt[1], el_eta[1], el_phi[1], el_mass[1]);
            return nearer_first(static_cast<float>((mu0 + mu1).M()),
                                static_cast<float>((el0 + el1).M()));
          }, {"Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "Electron_pt", "Electron_eta",
              "Electron_phi", "Electron_mass"})
          .Define("H_mass", [](const Floats &mu_pt, const Floats &mu_eta, const Floats &mu_phi,
                               const Floats &mu_mass, const Floats &el_pt, const Floats &el_eta,
                               const Floats &el_phi, const Floats &el_mass) {
            const PtEtaPhiMVector mu0(mu_pt[0], mu_eta[0], mu_phi[0], mu_mass[0]);
            const PtEtaPhiMVector mu1(mu_pt[1], mu_eta[1], mu_phi[1], mu_mass[1]);
            const PtEtaPhiMVector el0(el_pt[0], el_eta[0], el_phi[0], el_mass[0]);
            const PtEtaPhiMVector el1(el_pt[1], el_eta[1], el_phi[1], el_mass[1]);
            return static_cast<float>((mu0 + mu1 + el0 + el1).M());
          }, {"Muon_pt", "Muon_eta", "Muon_phi", "Muon_mass", "Electron_pt", "Electron_eta",
              "Electron_phi", "Electron_mass"});
  return book(node);
}

template <typename Counter> bench::Counts analyse_with(ROOT::RDataFrame &events) {
  auto all = events.Count();
  std::map<std::string, Booked> booked;
  booked.emplace("4mu", book_four<Counter>(events, "Muon", "pfRelIso04_all", 5, 2.4));
  booked.emplace("4e", book_four<Counter>(events, "Electron", "pfRelIso03_all", 7, 2.5));
  booked.emplace("2mu2e", book_mixed<Counter>(events));

  bench::Counts counts;
  counts.events = static_cast<long>(*all);
  for (auto &[name, results] : booked) {
    auto &channel = counts.channels[name];
    channel.selected = static_cast<long>(*results.selected);
    for (int bin = 0; bin < bench::bins + 2; ++bin)
      channel.mass[bin] = std::lround(results.mass->GetBinContent(bin));
  }
  return counts;
}

} // namespace

int main(int argc, char **argv) {
  return bench::measure(argc, argv, [](const char *path) {
    ROOT::RDataFrame events("Events", path);
    // CMS writes the counters as UInt_t; some writers of generated files know only Int_t.
    if (events.GetColumnType("nMuon") == "Int_t")
      return analyse_with<int>(events);
    return analyse_with<unsigned int>(events);
  });
}
