// Peer (b): a hand-written TTree loop. A branch is read only when an event asks for it, the
// cheapest cuts come first, and nothing is allocated per event.

#include "measure.hpp"

#include <TBranch.h>
#include <TFile.h>
#include <TLeaf.h>
#include <TTree.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr double z_mass = 91.2; // GeV, the tutorial's value
constexpr double pi = 3.14159265358979323846;

// A branch whose entry is read at the first use within an event.
template <typename Value> class Column {
public:
  Column(TTree &tree, const std::string &name, std::size_t length)
      : branch_(tree.GetBranch(name.c_str())), values_(std::max<std::size_t>(length, 1)) {
    if (!branch_)
      throw std::runtime_error("no branch " + name);
    branch_->SetAddress(values_.data());
  }
  Column(const Column &) = delete;
  Column &operator=(const Column &) = delete;

  const Value *at(long entry) {
    if (entry != loaded_) {
      branch_->GetEntry(entry);
      loaded_ = entry;
    }
    return values_.data();
  }

private:
  TBranch *branch_;
  std::vector<Value> values_;
  long loaded_ = -1;
};

struct Momentum {
  double px = 0, py = 0, pz = 0, e = 0;

  Momentum operator+(const Momentum &other) const {
    return {px + other.px, py + other.py, pz + other.pz, e + other.e};
  }
  double mass() const {
    const double squared = e * e - px * px - py * py - pz * pz;
    return squared < 0 ? -std::sqrt(-squared) : std::sqrt(squared);
  }
};

struct Leptons {
  Leptons(TTree &tree, const std::string &name, const std::string &isolation_name,
          std::size_t longest)
      : counter(tree, "n" + name, 1), pt(tree, name + "_pt", longest),
        eta(tree, name + "_eta", longest), phi(tree, name + "_phi", longest),
        mass(tree, name + "_mass", longest), isolation(tree, name + "_" + isolation_name, longest),
        dxy(tree, name + "_dxy", longest), dxy_err(tree, name + "_dxyErr", longest),
        dz(tree, name + "_dz", longest), dz_err(tree, name + "_dzErr", longest),
        charge(tree, name + "_charge", longest) {}

  static std::size_t longest(TTree &tree, const std::string &name) {
    TLeaf *leaf = tree.GetLeaf(("n" + name).c_str());
    if (!leaf)
      throw std::runtime_error("no counter n" + name);
    return static_cast<std::size_t>(leaf->GetMaximum());
  }

  int count(long entry) { return *counter.at(entry); }

  bool isolated(long entry, int n) {
    const float *values = isolation.at(entry);
    return std::all_of(values, values + n, [](float x) { return std::abs(x) < 0.40; });
  }
  bool harder_than(float least, long entry, int n) {
    const float *values = pt.at(entry);
    return std::all_of(values, values + n, [least](float x) { return x > least; });
  }
  bool within(double most, long entry, int n) {
    const float *values = eta.at(entry);
    return std::all_of(values, values + n, [most](float x) { return std::abs(x) < most; });
  }
  bool near_vertex(long entry, int n) {
    const float *x = dxy.at(entry), *z = dz.at(entry);
    for (int i = 0; i < n; ++i) {
      if (!(std::abs(x[i]) < 0.5 && std::abs(z[i]) < 1.0))
        return false;
    }
    const float *x_err = dxy_err.at(entry), *z_err = dz_err.at(entry);
    for (int i = 0; i < n; ++i) {
      const float distance = std::sqrt(x[i] * x[i] + z[i] * z[i]);
      const float error = std::sqrt(x_err[i] * x_err[i] + z_err[i] * z_err[i]);
      if (!(distance / error < 4))
        return false;
    }
    return true;
  }
  bool leading_two(long entry, int n) {
    const float *values = pt.at(entry);
    float first = 0, second = 0;
    for (int i = 0; i < n; ++i) {
      second = std::max(second, std::min(first, values[i]));
      first = std::max(first, values[i]);
    }
    return first > 20 && second > 10;
  }
  bool apart(int i, int j, long entry) {
    const float *etas = eta.at(entry), *phis = phi.at(entry);
    const float deta = etas[i] - etas[j];
    const double dphi = std::remainder(static_cast<double>(phis[i]) - phis[j], 2 * pi);
    return !(std::sqrt(deta * deta + dphi * dphi) < 0.02);
  }
  Momentum momentum(int i, long entry) {
    const double p = pt.at(entry)[i], angle = phi.at(entry)[i], m = mass.at(entry)[i];
    const double px = p * std::cos(angle), py = p * std::sin(angle);
    const double pz = p * std::sinh(static_cast<double>(eta.at(entry)[i]));
    // A slightly negative stored mass (rounding in the reconstruction) counts negative.
    const double squared = px * px + py * py + pz * pz + m * std::abs(m);
    return {px, py, pz, squared > 0 ? std::sqrt(squared) : 0};
  }

  Column<int> counter; // UInt_t or Int_t in the file: four bytes either way
  Column<float> pt, eta, phi, mass, isolation, dxy, dxy_err, dz, dz_err;
  Column<int> charge;
};

void fill(bench::Channel &channel, float one, float two, double four) {
  if (!(std::abs(one - z_mass) < std::abs(two - z_mass)))
    std::swap(one, two);
  if (!(one > 40 && one < 120 && two > 12 && two < 120))
    return;
  ++channel.selected;
  const float mass = static_cast<float>(four);
  const int bin = mass < 70 ? 0 : mass < 180 ? 1 + int(bench::bins * (mass - 70.) / 110) : bench::bins + 1;
  ++channel.mass[std::min(bin, bench::bins + 1)];
}

void four_of_a_kind(Leptons &leptons, float min_pt, double max_eta, long entry,
                    bench::Channel &channel) {
  const int n = leptons.count(entry);
  if (n != 4) // at least four is asked first and exactly four later
    return;
  const int *charge = leptons.charge.at(entry);
  if (std::count(charge, charge + 4, 1) != 2 || std::count(charge, charge + 4, -1) != 2)
    return;
  if (!leptons.isolated(entry, n) || !leptons.harder_than(min_pt, entry, n) ||
      !leptons.within(max_eta, entry, n) || !leptons.near_vertex(entry, n))
    return;

  std::array<Momentum, 4> p;
  for (int i = 0; i < 4; ++i)
    p[i] = leptons.momentum(i, entry);
  int best_mass = -1; // an integer, as in the tutorial: later pairs meet a truncated mass
  int first = 0, second = 0;
  float z_one = 0;
  for (int i = 0; i < 4; ++i) {
    for (int j = i + 1; j < 4; ++j) {
      if (charge[i] == charge[j])
        continue;
      const double mass = (p[i] + p[j]).mass();
      if (std::abs(z_mass - mass) < std::abs(z_mass - best_mass)) {
        best_mass = static_cast<int>(mass);
        z_one = static_cast<float>(mass);
        first = i;
        second = j;
      }
    }
  }
  if (second == 0) // no pair below 183.4 GeV
    return;
  std::array<int, 2> others{};
  for (int k = 0, filled = 0; k < 4; ++k) {
    if (k != first && k != second)
      others[filled++] = k;
  }
  if (!leptons.apart(first, second, entry) || !leptons.apart(others[0], others[1], entry))
    return;
  const Momentum other = p[others[0]] + p[others[1]];
  fill(channel, z_one, static_cast<float>(other.mass()), (p[first] + p[second] + other).mass());
}

void two_and_two(Leptons &muons, Leptons &electrons, long entry, bench::Channel &channel) {
  const int n_mu = muons.count(entry), n_el = electrons.count(entry);
  if (n_mu < 2 || n_el < 2)
    return;
  const auto sum = [](const int *charge, int n) {
    int total = 0;
    for (int i = 0; i < n; ++i)
      total += charge[i];
    return total;
  };
  if (sum(electrons.charge.at(entry), n_el) != 0 || sum(muons.charge.at(entry), n_mu) != 0)
    return;
  if (!electrons.within(2.5, entry, n_el) || !muons.within(2.4, entry, n_mu))
    return;
  if (!muons.leading_two(entry, n_mu) && !electrons.leading_two(entry, n_el))
    return;
  if (!muons.apart(0, 1, entry) || !electrons.apart(0, 1, entry))
    return;
  if (!electrons.isolated(entry, n_el) || !muons.isolated(entry, n_mu) ||
      !electrons.near_vertex(entry, n_el) || !muons.near_vertex(entry, n_mu))
    return;
  const Momentum z_mu = muons.momentum(0, entry) + muons.momentum(1, entry);
  const Momentum z_el = electrons.momentum(0, entry) + electrons.momentum(1, entry);
  fill(channel, static_cast<float>(z_mu.mass()), static_cast<float>(z_el.mass()),
       (z_mu + z_el).mass());
}

bench::Counts analyse(const char *path) {
  std::unique_ptr<TFile> file(TFile::Open(path));
  if (!file || file->IsZombie())
    throw std::runtime_error(std::string("cannot open ") + path);
  auto *tree = file->Get<TTree>("Events");
  if (!tree)
    throw std::runtime_error(std::string("no tree Events in ") + path);
  Leptons muons(*tree, "Muon", "pfRelIso04_all", Leptons::longest(*tree, "Muon"));
  Leptons electrons(*tree, "Electron", "pfRelIso03_all", Leptons::longest(*tree, "Electron"));

  bench::Counts counts;
  counts.events = tree->GetEntries();
  auto &four_mu = counts.channels["4mu"];
  auto &four_e = counts.channels["4e"];
  auto &mixed = counts.channels["2mu2e"];
  for (long entry = 0; entry < counts.events; ++entry) {
    tree->LoadTree(entry); // the read-ahead cache follows this
    four_of_a_kind(muons, 5, 2.4, entry, four_mu);
    four_of_a_kind(electrons, 7, 2.5, entry, four_e);
    two_and_two(muons, electrons, entry, mixed);
  }
  tree->ResetBranchAddresses();
  return counts;
}

} // namespace

int main(int argc, char **argv) { return bench::measure(argc, argv, analyse); }
