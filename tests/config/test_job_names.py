"""Names of the folders of a sweep's jobs."""

import pytest
from hydra import compose, initialize_config_dir

from recsys_lab.config.configuration import register_resolvers
from recsys_lab.config.job_names import job_folder, job_name, without_constants
from recsys_lab.run.command_line import CONF

register_resolvers()


@pytest.mark.parametrize(
    ("joined", "name"),
    [
        ("3_model=mf,optimizer.lr=0.2,seed=1", "3_model=mf,lr=0.2,seed=1"),
        ("0_", "0"),
        ("1_data.window=2,model.window=3", "1_data.window=2,model.window=3"),
        ("2_data/source=cuts", "2_source=cuts"),
        ("4_+trainer.x='a/b c'", "4_x=a-b c"),
        (
            "7_optimizer.lr=0.123456789,a=1.25e-05,b=3.123456e-07",
            "7_lr=0.1235,a=1.25e-05,b=3.123e-07",
        ),
        ("5_evaluation.ks=[10,20],seed=0", "5_ks=[10,20],seed=0"),
        ("6_" + 300 * "x", "6_" + 198 * "x"),
    ],
)
def test_a_job_is_named_by_its_number_and_short_keys(joined, name):
    assert job_name(joined) == name


def test_a_job_is_found_by_its_words_under_any_name_and_number(tmp_path):
    def store(name, *words):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        text = "".join(f"- {word}\n" for word in words)
        (tmp_path / name / ".hydra" / "overrides.yaml").write_text(text)

    store("2_model-mf__seed-0", "model=mf", "seed=0", "trainer=smoke")  # as of older versions
    store("3_seed=1", "model=mf", "seed=1", "prepared_dir=a")
    store("4_seed=1", "seed=1", "model=mf")
    store("9", "damaged: [")
    sweep = str(tmp_path)
    words = ["model=mf", "seed=0", "trainer='smoke'", "skip_finished=true"]
    assert job_folder(sweep, "2_model=mf,seed=0", words) == "2_model-mf__seed-0"
    assert job_folder(sweep, "5_model=mf,seed=0", words) == "2_model-mf__seed-0"
    assert job_folder(sweep, "5_seed=0", words, is_trial=True) == "5_seed=0"
    assert job_folder(sweep, "2_seed=0", words[:2]) == "2_seed=0"  # another trainer
    for number in (3, 4):
        assert job_folder(sweep, f"{number}_x", ["model=mf", "seed=1"]).startswith(f"{number}_")
    assert job_folder(f"{sweep}/none", "0_seed=1", ["seed=1"]) == "0_seed=1"


def test_constants_are_left_out_of_the_names():
    words = ["-m", "model=mf,skipgram", "trainer.max_epochs=3", "optimizer.lr=range(1,3)"]
    *same, word = without_constants(words, CONF)
    assert same == words
    excluded = word.partition("=")[2].strip("[]").replace("'", "").split(",")
    assert excluded[-1] == "trainer.max_epochs"
    assert "catalog.path" in excluded
    assert not {"model", "optimizer.lr"} & set(excluded)
    assert without_constants(words[1:3], CONF) == words[1:3]  # no sweep
    search = ["hparams_search=optuna", "optimizer.lr=interval(0,1)"]
    *_, word = without_constants(search, CONF, is_sweep=True)
    assert word.endswith(",'hparams_search']")
    own = [*words, "hydra.job.config.override_dirname.exclude_keys=[seed]"]
    assert without_constants(own, CONF) == own


def test_the_folders_of_jobs_and_of_single_runs():
    typed = ["-m", "optimizer.lr=0.1,0.2", "model=mf_bias", "trainer=smoke"]
    word = without_constants(typed, CONF)[-1]
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        words = ["optimizer.lr=0.2", *typed[2:], word, "hydra.job.num=1"]
        job = compose("config", words, return_hydra_config=True)
        single = compose("config", ["experiment=mf_pairs"], return_hydra_config=True)
    assert job.hydra.sweep.subdir == "1_lr=0.2"
    assert single.hydra.run.dir.startswith("outputs/train/runs/mf_pairs_20")
