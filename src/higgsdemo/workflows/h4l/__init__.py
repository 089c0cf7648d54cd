"""H -> ZZ -> 4 leptons on reduced NanoAOD, or any tree of events with its branches.

Two selections: `default` (module `default`) and `published` (module `published`), the public
RDataFrame tutorial df103 event by event. Histograms, of integer counts, in each channel:

=============  =====================  =====================================================
m4l            37 bins, 70-181 GeV    as the AOD analysis' mass*_8TeV_low: 3 GeV wide
m4l_published  36 bins, 70-180 GeV    as df103
m4l_wide       300 bins, 0-900 GeV    as the AOD analysis' mass*_full: 3 GeV wide
mZ1, mZ2       120 bins, 0-120 GeV    as the AOD analysis' mZa_*, mZb_*, but of the events in m4l
=============  =====================  =====================================================
"""

from higgsdemo.workflows.h4l.workflow import AXES, SELECTIONS, H4l

__all__ = ["AXES", "SELECTIONS", "H4l"]
