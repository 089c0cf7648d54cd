"""The discovery of the Higgs boson (H -> ZZ -> 4 leptons) on CMS Open Data.

The rooms of the house, highest first; each imports only from those below it:
`cli`, `display`, `monitor`, `inference`, `executors`, `plan`, `ledger`, `worker`, `workflows`,
`columns`, `storage`, `simulation`, `catalog`, `model`, `errors`.
"""

__version__ = "0.1.0"
