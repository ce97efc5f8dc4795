"""What is measured of the reconciler's work."""

from prometheus_client import CollectorRegistry

from instance_orchestrator.instruments import Instruments


def test_age_is_that_of_the_instance_that_has_waited_longest() -> None:
    registry = CollectorRegistry()
    instruments = Instruments(registry)
    instruments.note_unfinished([1])
    first = registry.get_sample_value("shoal_instances_unfinished_age_seconds")
    instruments.note_unfinished([1, 2])
    assert registry.get_sample_value("shoal_instances_unfinished") == 2
    assert (registry.get_sample_value("shoal_instances_unfinished_age_seconds") or 0) > (first or 0)
    instruments.note_unfinished([])
    assert registry.get_sample_value("shoal_instances_unfinished") == 0
    assert registry.get_sample_value("shoal_instances_unfinished_age_seconds") == 0
