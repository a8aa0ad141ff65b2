"""Train a pretrained model again: `python -m companion.recipes vae --data FOLDER`."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from companion import pretrained
from companion.data import mnist
from companion.recipes import classifiers, vaes
from companion.training import Run, checkpoints, default_device


def main() -> None:
    """Train one model, measure it, and write its weights and its card."""
    args = _arguments()
    for path in (args.checkpoints, args.out):
        path.mkdir(parents=True, exist_ok=True)
    device = torch.device(args.device or default_device())
    digits = mnist("train", root=args.data, device=device, exclude_mnist5k=True)
    test = mnist("test", root=args.data, device=device)
    run = Run(device, checkpoint=args.checkpoints / args.name)
    started = time.monotonic()
    if args.name in vaes.RECIPES:
        recipe = vaes.RECIPES[args.name]
        model: Any = vaes.train(recipe, digits.images, run).eval()
        minutes = (time.monotonic() - started) / 60
        facts, options = vaes.facts(recipe), f" --bounds {args.bounds}"
        sizes = {"n_samples": args.samples, "n_bounds": args.bounds}
        figures = vaes.measure(model, test.images, **sizes)
    else:
        plan = classifiers.RECIPES[args.name]
        model = classifiers.train(plan, *digits, run).eval()
        minutes = (time.monotonic() - started) / 60
        facts, options = classifiers.facts(plan), ""
        figures = classifiers.measure(model, *test, eps=plan.eps)
    path = args.out / f"{args.name}.safetensors"
    checkpoints.save(path, model.state_dict())
    card = {
        "name": args.name,
        "recipe": f"python -m companion.recipes {args.name}{options}",
        **facts,
        "n_images": len(digits.images),
        "device": device.type,
        "torch": torch.__version__,
        "minutes": round(minutes, 1),
        "test": figures,
        "sha256": pretrained.file_hash(path),
    }
    text = json.dumps(card, indent=2) + "\n"
    (args.out / f"{args.name}.json").write_text(text, encoding="utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m companion.recipes", description=__doc__)
    parser.add_argument("name", choices=[*vaes.RECIPES, *classifiers.RECIPES])
    parser.add_argument("--data", help="folder of MNIST; default: the course's cache")
    parser.add_argument("--device", help="cpu, cuda, ...; default: the fastest one")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("retrained"),
        help=f"where the files go; {pretrained.FOLDER} holds those of the package",
    )
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=Path("checkpoints"),
        help="where an interrupted training continues",
    )
    parser.add_argument("--samples", type=int, default=5_000, help="S of the bound")
    parser.add_argument("--bounds", type=int, default=2_000, help="images it is measured on")
    return parser.parse_args()


if __name__ == "__main__":
    main()
