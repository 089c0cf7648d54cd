"""Run by a Python that has ROOT, never imported by pytest: `root_files.py SOURCE FOLDER`.

Rewrites the tree of SOURCE (from `files.write_events`) in the layouts that ROOT gives, and writes
trees with leaves of other types, into FOLDER.
"""

import sys

import ROOT

CODE = r"""
void clone(const char* from, const char* to, int compression, long long cluster, int basket) {
  TFile in(from); auto* tree = in.Get<TTree>("Events");
  TFile out(to, "recreate", "", compression);
  auto* copy = tree->CloneTree(0);
  copy->SetAutoFlush(cluster); copy->SetBasketSize("*", basket);
  copy->SetBasketSize("Muon_charge", 3 * basket);
  copy->CopyEntries(tree); copy->Write();
}
struct Lists { float pt[64]; double d[64]; int q[64]; short s[64]; UChar_t u[64]; bool b[64];
  Long64_t l[64]; float a[64][3]; Double32_t d32[64]; Float16_t f16[64]; };
void leaves(const char* to, const char* type, int features, bool embedded, int basket) {
  TFile out(to, "recreate"); auto* t = new TTree("Events", ""); TRandom3 r(7);
  if (features) { ROOT::TIOFeatures io; io.Set("kGenerateOffsetMap"); t->SetIOFeatures(io); }
  if (basket < 1000) t->SetAutoFlush(0);
  int run; bool flag; double met; Lists v;
  Long64_t n; char counter[8]; const char letter = type[0];
  const int size = strchr("Bb", letter) ? 1
      : strchr("Ss", letter) ? 2 : strchr("Ii", letter) ? 4 : 8;
  float fix[3]; struct { float a, b; } two;
  t->Branch("run", &run, "run/I", basket); t->Branch("flag", &flag, "flag/O", 2 * basket);
  t->Branch("met", &met, "met/D", basket);
  t->Branch("nMuon", counter, (std::string("nMuon/") + type).c_str(), basket);
  t->Branch("Muon_pt", v.pt, "Muon_pt[nMuon]/F", basket);
  t->Branch("Muon_d", v.d, "Muon_d[nMuon]/D", basket);
  t->Branch("Muon_q", v.q, "Muon_q[nMuon]/I", 3 * basket);
  t->Branch("Muon_s", v.s, "Muon_s[nMuon]/S", basket);
  t->Branch("Muon_u", v.u, "Muon_u[nMuon]/b", basket);
  t->Branch("Muon_b", v.b, "Muon_b[nMuon]/O", basket);
  t->Branch("Muon_l", v.l, "Muon_l[nMuon]/L", basket);
  t->Branch("Muon_a", v.a, "Muon_a[nMuon][3]/F", basket);
  t->Branch("Muon_d32", v.d32, "Muon_d32[nMuon]/d", basket);
  t->Branch("Muon_f16", v.f16, "Muon_f16[nMuon]/f[-9,9,12]", basket);
  t->Branch("Fix_x", fix, "Fix_x[3]/F", basket); t->Branch("two", &two, "a/F:b/F", basket);
  for (int i = 0; i < 2000; ++i) {
    run = i / 100; flag = r.Rndm() < .3; met = r.Exp(30); n = r.Poisson(2.1);
    memcpy(counter, &n, size);  // little endian
    two = {float(i), 2};
    for (int j = 0; j < 3; ++j) fix[j] = i + j;
    for (int j = 0; j < n; ++j) {
      v.pt[j] = r.Exp(20); v.d[j] = r.Gaus(); v.q[j] = r.Rndm() < .5 ? -1 : 1; v.s[j] = j - 3;
      v.u[j] = 250 + j; v.b[j] = r.Rndm() < .5; v.l[j] = -i; v.d32[j] = i; v.f16[j] = j;
      for (int k = 0; k < 3; ++k) v.a[j][k] = k;
    }
    t->Fill();
  }
  if (embedded) out.WriteObjectAny(t, "TTree", "Events"); else t->Write();
  out.Close();
}
void vectors(const char* to, bool counter) {
  TFile out(to, "recreate"); TTree t("Events", ""); TRandom3 r(5); int run; UInt_t n;
  std::vector<float> pt; std::vector<int> q; std::vector<bool> b; std::string word;
  t.Branch("run", &run); if (counter) t.Branch("nMuon", &n);
  t.Branch("Muon_pt", &pt, 1000); t.Branch("Muon_q", &q); t.Branch("Muon_b", &b);
  t.Branch("Muon_name", &word);
  for (int i = 0; i < 2000; ++i) {
    run = i; pt.clear(); q.clear(); b.clear(); n = r.Poisson(2); word = "mu";
    for (UInt_t j = 0; j < n; ++j) { pt.push_back(10 * j); q.push_back(i); b.push_back(j == 1); }
    t.Fill();
  }
  t.Write(); out.Close();
}
"""

# name: (compression setting of ROOT: 100 x algorithm + level, entries per cluster, basket bytes)
CLONES = {
    "zlib-clusters": (101, 700, 32_000),
    "zlib-small-baskets": (101, 1100, 600),
    "zlib-unaligned": (106, 0, 900),
    "zlib-one-basket": (101, 100_000, 4_000_000),
    "lzma": (207, 700, 2_000),
    "lz4": (404, 700, 2_000),
    "zstd": (505, 700, 2_000),
    "none": (0, 700, 2_000),
}


def main(source: str, folder: str) -> None:
    ROOT.gInterpreter.Declare(CODE)
    for name, (compression, cluster, basket) in CLONES.items():
        ROOT.clone(source, f"{folder}/{name}.root", compression, cluster, basket)
    for letter in "SsIiBbL":
        case = "upper" if letter.isupper() else "lower"
        ROOT.leaves(f"{folder}/counter-{letter.lower()}-{case}.root", letter, 0, False, 32_000)
    ROOT.leaves(f"{folder}/offset-map.root", "I", 1, False, 32_000)
    ROOT.leaves(f"{folder}/embedded.root", "I", 0, True, 32_000)
    ROOT.leaves(f"{folder}/embedded-last.root", "I", 0, True, 400)
    ROOT.vectors(f"{folder}/vectors.root", False)
    ROOT.vectors(f"{folder}/vectors-counted.root", True)
    options = ROOT.RDF.RSnapshotOptions()
    options.fOutputFormat = ROOT.RDF.ESnapshotOutputFormat.kRNTuple
    columns = ["run", "HLT_any", "MET_pt", "event", "nMuon", "nElectron", "nTau"]
    columns += ["Muon_pt", "Muon_charge", "Muon_tightId", "Electron_dzErr", "Electron_pt"]
    frame = ROOT.RDataFrame("Events", source)
    frame.Snapshot("Events", f"{folder}/rntuple.root", columns, options)


main(*sys.argv[1:])
