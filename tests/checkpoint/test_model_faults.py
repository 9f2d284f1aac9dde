"""Faults planted in the checkpoints' code: the model finds each of them."""

import pytest
from hypothesis import Phase

from td3_hpc import durable
from td3_hpc.checkpoint import choice, contents, set_aside
from td3_hpc.checkpoint import survey as survey_module
from tests.checkpoint.test_model import Model, run_model


def claim_without_looking(patch: pytest.MonkeyPatch) -> None:
    """An attempt believes the listing, and begins anew where it shows nothing."""
    real = contents._read_manifests

    def listed_only(found, names):
        real(found, set(names) & set(contents.listing.names(found.run_dir / "state")))

    patch.setattr(contents, "_read_manifests", listed_only)
    for check in ("_refuse_lost", "_refuse_begun_anew", "_refuse_incomplete"):
        patch.setattr(survey_module, check, lambda *_: None)


def delete_the_superseded(patch: pytest.MonkeyPatch) -> None:
    """What is not of the line being continued is deleted, not set aside."""

    def delete(run_dir, paths):
        for path in paths:
            path.unlink(missing_ok=True)
        return {}

    for module in (set_aside, choice):
        patch.setattr(module, "move", delete)


def forget_to_sync(patch: pytest.MonkeyPatch) -> None:
    """A rename is not followed by an fsync of its folder."""
    patch.setattr(durable, "sync_directory", lambda _: None)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", [claim_without_looking, delete_the_superseded, forget_to_sync])
def test_a_planted_fault_is_found(fault):
    model = type("Faulty", (Model,), {"plant": fault})
    with pytest.raises(AssertionError) as raised:
        run_model(2000, model=model, phases=[Phase.generate])
    print(f"{fault.__name__}: {raised.value}")
