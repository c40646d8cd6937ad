"""Later events beside a run on an event log: new items, new users, and users who come back."""

import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from omegaconf import OmegaConf
from typer.testing import CliRunner

import recsys_lab
from recsys_lab.commands.app import app
from recsys_lab.run.add import Added, add
from recsys_lab.vectors.embeddings import Embeddings
from recsys_lab.vectors.errors import VectorsError
from tests.run.test_event_runs import WORDS, small_log, write_events
from tests.run.test_node_embeddings import USERS, untrained

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory")
LATE = "\n".join(
    [
        "user,item,time",
        *(f"n1,{item},{1_600_000_000 + 600 * k}" for k, item in enumerate(["i00", "late", "i01"])),
        *(f"n2,{item},{1_600_000_000 + 600 * k}" for k, item in enumerate(["i02", "late"])),
        *(f"user-001,{item},{1_600_000_000 + k}" for k, item in enumerate(["i12", "i13"])),
    ]
)


def trained(folder: Path, *words: str, base: Sequence[str] = WORDS) -> recsys_lab.Fitted:
    """A run with the configuration that the command leaves, without a test."""
    words = (*base, f"prepared_dir={folder}/prepared", *words)
    experiment = recsys_lab.configure(*words)
    prepared = recsys_lab.prepare(experiment.source, experiment.split, experiment.prepared_dir)
    fitted = recsys_lab.fit(prepared, experiment, folder / "run")
    fitted.save_embeddings()
    keep_configuration(fitted)
    return fitted


def keep_configuration(fitted: recsys_lab.Fitted) -> None:
    """Write the file by which a run is read again."""
    folder = fitted.folder / ".hydra"
    folder.mkdir()
    stored = OmegaConf.create(dict(fitted.experiment.configuration))
    OmegaConf.save(stored, folder / "config.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    path = write_events(folder / "log.csv", small_log())
    words = (f"catalog.path={path}", "split=leave_one_out", "model.popularity_weight=1")
    trained(folder, *words, "trainer.max_epochs=8", "curve.every_n_batches=20")
    (folder / "late.csv").write_text(LATE)
    return folder


@pytest.fixture(scope="module")
def added(folder: Path) -> tuple[Added, Embeddings, Embeddings]:
    done = add(folder / "run", folder / "late.csv")
    return done, Embeddings.load(folder / "run"), Embeddings.load(done.folder)


def test_a_new_item_is_folded_in_by_those_of_its_sessions(
    added: tuple[Added, Embeddings, Embeddings],
) -> None:
    """Its sessions hold items 0, 1 and 2, which are of one group of ten."""
    done, before, after = added
    assert done.counts == {"pairs": 1, "side information": 0, "nothing": 0}
    assert done.num_pairs == 3
    assert after.ids.to_list()[40:] == ["late"]
    assert after.pairs.filter(pl.col("tail") == 40)["head"].to_list() == [0, 1, 2]
    np.testing.assert_array_equal(after.vectors[:40], before.vectors)
    scores = after.keys[:40, :-2] @ after.query(40)[0, :-2]  # without popularity
    assert scores[:10].mean() > scores[10:].mean() + scores[10:].std()


def test_a_new_user_is_pooled_over_old_and_new_items(
    added: tuple[Added, Embeddings, Embeddings],
) -> None:
    done, _, after = added
    assert done.users == (2, 1)
    assert after.users.ids.to_list()[120:] == ["n1", "n2"]
    query = after.for_history(["i00", "late", "i01"], 5)
    assert after.for_user("n1", 5)["item"].to_list() == query["item"].to_list()
    np.testing.assert_allclose(
        after.for_user("n1", 5)["score"], query["score"], rtol=1e-4, atol=1e-5
    )
    assert after.ids[after.users.history("n2")].to_list() == ["i02", "late"]


def test_a_user_who_comes_back_has_more_history(
    added: tuple[Added, Embeddings, Embeddings],
) -> None:
    _, before, after = added
    stored = before.ids[before.users.history("user-001")].to_list()
    kept = [item for item in stored if item not in ("i12", "i13")]
    assert after.ids[after.users.history("user-001")].to_list() == [*kept, "i12", "i13"]
    assert after.users.num_events("user-001") == before.users.num_events("user-001") + 2
    expected = after.for_history([*stored, "i12", "i13"], 4, not_known=False)
    found = after.for_user("user-001", 4, not_known=False)
    assert found["item"].to_list() == expected["item"].to_list()
    row = after.users.row("user-001")
    assert after.users.ids[row] == "user-001"
    others = np.arange(120) != row
    np.testing.assert_array_equal(after.users.queries[:120][others], before.users.queries[others])


def test_the_file_of_users_stays_the_owners_alone(
    added: tuple[Added, Embeddings, Embeddings],
) -> None:
    done, _, after = added
    assert stat.S_IMODE(after.users.path.stat().st_mode) == 0o600
    for path in done.folder.iterdir():
        assert path.name == "users.parquet" or b"user-001" not in path.read_bytes()
    assert "user-0" not in done.account


def test_a_log_of_users_alone_adds_no_item(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "users.csv"
    log.write_text("user,item,time\nn3,i00,1600000000\nn3,i01,1600000001\n")
    done = add(folder / "run", log, tmp_path / "out")
    assert (sum(done.counts.values()), done.users) == (0, (1, 0))
    again = add(done.folder, folder / "late.csv", tmp_path / "more")  # to what was added before
    assert again.users == (2, 1)
    assert Embeddings.load(again.folder).users.ids.to_list()[120:] == ["n3", "n1", "n2"]


def test_items_of_a_table_alone(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "items.csv"
    table.write_text("item,category\nlate,hats\ni00,hats\n")
    done = add(folder / "run", out=tmp_path / "out", items=table)
    assert done.counts == {"pairs": 0, "side information": 0, "nothing": 1}
    assert Embeddings.load(done.folder).items["categories"][40].to_list() == [["hats"]]
    assert done.users is None


def test_what_is_not_there_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(VectorsError, match="name a file of new items, or of events"):
        add(folder / "run")
    known = tmp_path / "known.csv"
    known.write_text("item,category\ni00,hats\n")
    with pytest.raises(VectorsError, match=r"holds no new item .*: all 1 items"):
        add(folder / "run", items=known)


def test_a_user_with_an_own_vector_keeps_it(tmp_path: Path) -> None:
    fitted, before = untrained(tmp_path, "history.vector=user")
    keep_configuration(fitted)
    (tmp_path / "late.csv").write_text(LATE)
    after = Embeddings.load(add(tmp_path / "run", tmp_path / "late.csv").folder)
    np.testing.assert_array_equal(after.users.query("user-001"), before.users.query("user-001"))
    np.testing.assert_array_equal(after.users.keys[:USERS], before.users.keys)
    more = after.ids[after.users.history("user-001")].to_list()[-2:]
    assert more == ["i12", "i13"]
    assert after.users.table["own"].to_list()[USERS:] == [False, False]
    assert after.nearest("user", 99, item="late").height == USERS  # new ones have no key
    assert after.nodes.table.equals(before.nodes.table)


def test_a_model_of_histories_gets_users_and_no_items(tmp_path: Path) -> None:
    """Its scores have a direction, which pairs do not have."""
    base = [word for word in WORDS if not word.startswith("data")]
    words = ("model=history", "data=histories", "nodes.users=false", "nodes.labels=[]")
    fitted, _ = untrained(tmp_path, *words, base=base)
    keep_configuration(fitted)
    (tmp_path / "late.csv").write_text(LATE)
    done = add(tmp_path / "run", tmp_path / "late.csv")
    assert (done.counts["nothing"], done.users) == (1, (2, 1))
    after = Embeddings.load(done.folder)
    expected = after.for_history(["i00", "i01"], 5)["item"].to_list()
    assert len(expected) == 5
    assert after.ids[after.users.history("n1")].to_list() == ["i00", "late", "i01"]


def test_a_model_of_users_and_items_fits_new_items_to_their_users(tmp_path: Path) -> None:
    """Three users of the first of four groups, which have a vector each, take it to their group."""
    log = small_log(users=60)
    base = [word for word in WORDS if not word.startswith("data")]
    trained(
        tmp_path, f"catalog.path={write_events(tmp_path / 'log.csv', log)}", "split=leave_one_out",
        "data=interactions", "nodes.users=true", "history.vector=user", "data.batch_size=64",
        "trainer.max_epochs=15", "curve.every_n_batches=200", base=base,
    )  # fmt: skip
    rows = "".join(f"user-{user:03d},late,{user}\n" for user in (0, 4, 8))
    (tmp_path / "late.csv").write_text(
        f"user,item,time\n{rows}new,late,9\nnew,i10,10\nnew,i11,11\nnew,i12,12\nnew,i13,13\n"
    )
    done = add(tmp_path / "run", tmp_path / "late.csv")
    assert (done.counts["pairs"], done.users) == (1, (1, 3))
    found = Embeddings.load(done.folder)
    of_group = np.arange(60) % 4 == 0
    key = found.keys[int(found.index(["late"])[0])]
    scores = found.users.queries[:60] @ key
    error = scores[~of_group].std() * (1 / 15 + 1 / 45) ** 0.5  # of a difference of means
    assert scores[of_group].mean() > scores[~of_group].mean() + 3 * error
    known = found.keys[:40, :-2] @ found.users.query("new")[:-2]  # without popularity
    others = np.delete(known, np.arange(10, 20))
    assert known[10:20].mean() > others.mean() + others.std()
    assert found.users.table["own"].to_list()[-1]
    near = [name for name in found.nearest("user", 10, item="late")["name"] if name != "new"]
    assert np.mean([int(name[-3:]) % 4 == 0 for name in near]) > 0.5


def test_the_command_says_what_was_added(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["add", str(folder / "run"), str(folder / "late.csv"), "--out", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    assert "1 new item: 1 from pairs" in done.stderr
    assert "2 new users; 1 user there before, with what they did since" in done.stderr
    assert "user-001" not in done.stderr + done.stdout
    assert done.stdout.strip() == str(out)
