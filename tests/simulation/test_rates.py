import csv

from higgsdemo.simulation.rates import PROCESSES


def test_cross_sections_and_counts_are_those_of_the_catalogue(shared_data):
    with (shared_data.parent / "physics" / "samples.csv").open() as file:
        rows = {row["short_id"]: row for row in csv.DictReader(file)}
    for process in PROCESSES:
        row = rows[f"nano_{process.name}"]
        assert process.cross_section_pb == float(row["xsec_pb"])
        assert process.scale_factor == float(row["k_or_scale_factor"] or 1)
        assert process.real_events == int(row["n_generated"])
        assert process.channels == tuple(row["channels_used"].split(";"))
