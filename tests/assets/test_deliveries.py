"""From a model to a vendor and back: plan, apply, sync."""


def test_a_model_is_sent_once(world) -> None:
    """What was sent is what the model held, and planning again finds nothing."""
    world.sql("create table seg_x as select 'p' || i as profile_id, i as n from range(120) as numbers (i)")
    world.declare("seg_x", {"sink": "crm"}, columns=["profile_id", "n"])
    plan = world.plan("crm/seg_x")
    assert (plan.upsert, plan.remove, plan.send, plan.audience) == (120, 0, 0, 120)
    result = world.apply(plan.plan_id)
    assert result.counts == {"accepted": 120}
    assert world.recorder.audience("crm/seg_x") == {f"p{i}": {"profile_id": f"p{i}", "n": i} for i in range(120)}
    assert world.plan("crm/seg_x").operations == 0
