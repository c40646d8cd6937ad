"""Small run folders, written as a run writes them."""

import json

import numpy as np
from omegaconf import OmegaConf

from recsys_lab.results.curve import CurveFile
from recsys_lab.results.precision_recall import write_precision_recall

BASELINES = {"popularity": 0.01, "adamic_adar": 0.2, "walk_proximity": 0.15}


def metrics(seed=0, quality=0.25, split="split-a", vocabulary="words", **more):
    values = {
        "seed": seed,
        "hash/split": split,
        "hash/vocabulary": vocabulary,
        "data/num_items": 100,
        "data/num_pairs": 1000,
        "count/test/all": 90,
        "count/test/seen": 80,
        "fit/seconds": 10.0 + seed,
        "fit/items_per_second": 1000.0,
        "label/adamic_adar": "Adamic-Adar",
        "test/coverage/all": 0.95,
        "test/auc/uniform/one_cold": None,
        "interval/test/ndcg@10/all/low": quality - 0.05,
        "interval/test/ndcg@10/all/high": quality + 0.05,
        "difference/adamic_adar/ndcg@10/all/value": quality - 0.2,
        "difference/adamic_adar/ndcg@10/all/low": quality - 0.21,
        "difference/adamic_adar/ndcg@10/all/high": quality - 0.19,
    }
    for name, level in {"test": quality, **BASELINES}.items():
        prefix = name if name == "test" else f"baseline/{name}"
        for metric in ("auc/uniform/seen", "auc/uniform/all", "hr@10/all", "ndcg@10/all"):
            values[f"{prefix}/{metric}"] = level
    return values | more


def write_run(folder, seed=0, values=None, log="", choices=None, resets=False, **settings):
    """A run folder; without `values` it did not finish."""
    (folder / ".hydra").mkdir(parents=True)
    config = {
        "seed": seed,
        "train": True,
        "ckpt_path": None,
        "prepared_dir": str(folder),
        "catalog": {"path": f"/somewhere/{seed}/meta_Toys.json.gz"},
        "split": {"by": "pairs"},
        "model": {"_target_": "recsys_lab.models.builders.skipgram", "embedding_dim": 8},
    }
    for name, value in settings.items():
        config["model"][name] = value
    OmegaConf.save(OmegaConf.create(config), folder / ".hydra" / "config.yaml")
    chosen = {"model": "skipgram", "data": "pairs", "hydra/output": "default"} | (choices or {})
    hydra = {"hydra": {"runtime": {"choices": chosen}}}
    OmegaConf.save(OmegaConf.create(hydra), folder / ".hydra" / "hydra.yaml")
    (folder / "train.log").write_text(log)
    if values is not None:
        (folder / "metrics.json").write_text(json.dumps(values))
        write_curves(folder, seed, resets)
    return folder


def write_curves(folder, seed, resets):
    curve = CurveFile(folder, ["uniform", "degree_matched"])
    curve.rows = [
        {
            "step": step,
            "items": 10 * step,
            "train/lr": 1.0 - (step % 30 / 25 if resets else step / 100),
            "val/auc/uniform/all": 0.5 + 0.004 * step + 0.01 * seed,
            "val/auc/degree_matched/all": 0.5 + 0.003 * step,
        }
        for step in range(10, 70, 10)
    ]
    curve.rewrite()
    recall = np.array([1.0, 0.9, 0.8, 0.2])
    both = (np.array([-1.0, 0.0, 1.0, 2.0]), np.array([0.5, 0.6, 0.8, 1.0]), recall)
    write_precision_recall(folder, {"all": both, "seen": both})


def cold_metrics(scored):
    """A run whose test pairs all have a cold end; the model scores a share of them."""
    values = metrics() | {"count/test/query_items/ranked": 1, "count/test/query_items/total": 1}
    values |= {"count/test/seen": 0, "count/test/one_cold": 70, "count/test/both_cold": 20}
    names = {"test": scored, "baseline/content": 1.0}
    values["label/content"] = "content (tf-idf)"
    for name, share in names.items():
        values[f"{name}/coverage/all"] = share
        values[f"{name}/hr@10/all"] = 0.1
        for part in ("uniform/all", "uniform/one_cold", "uniform/both_cold"):
            values[f"{name}/auc/{part}"] = None if share == 0.0 else 0.81
    return values
