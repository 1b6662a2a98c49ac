"""The second held-out set and the near twins: extras, all of them."""

from megatron_rfft.corpus import corpus_config, load_preset
from megatron_rfft.tasks import list_tasks, load_task
from megatron_rfft.tasks.held_out import CROSS_DOMAIN, NEAR_TWINS


def test_near_twins_are_extras_of_held_out_tasks():
    assert NEAR_TWINS.keys() <= set(list_tasks(role="extra"))
    assert set(NEAR_TWINS.values()) <= {*list_tasks(role="held-out"), *CROSS_DOMAIN}
    assert not NEAR_TWINS.keys() & set(CROSS_DOMAIN)


def test_the_second_set_is_twelve_extras_of_all_families():
    assert len(set(CROSS_DOMAIN)) == 12
    assert set(CROSS_DOMAIN) <= set(list_tasks(role="extra"))
    assert {load_task(name).family for name in CROSS_DOMAIN} == {"code", "numbers", "symbolic", "logic"}
    preset = corpus_config(load_preset("test-cross-domain"))
    assert tuple(preset.lengths) == CROSS_DOMAIN
    assert preset.split == "test"
