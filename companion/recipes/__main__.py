"""Train a pretrained model again: `python -m companion.recipes vae --data FOLDER`."""

import argparse
import json
import time
from pathlib import Path

import torch

from companion import pretrained
from companion.data import mnist
from companion.recipes.vaes import RECIPES, measure, train
from companion.training import Run, checkpoints, default_device


def main() -> None:
    """Train one model, measure it, and write its weights and its card."""
    args = _arguments()
    for path in (args.checkpoints, args.out):
        path.mkdir(parents=True, exist_ok=True)
    recipe, device = RECIPES[args.name], torch.device(args.device or default_device())
    images = mnist("train", root=args.data, device=device, exclude_mnist5k=True).images
    started = time.monotonic()
    run = Run(device, checkpoint=args.checkpoints / args.name)
    model = train(recipe, images, run).eval()
    minutes = (time.monotonic() - started) / 60
    test = mnist("test", root=args.data, device=device).images
    figures = measure(model, test, n_samples=args.samples, n_bounds=args.bounds)
    path = args.out / f"{args.name}.safetensors"
    checkpoints.save(path, model.state_dict())
    card = {
        "name": args.name,
        "recipe": f"python -m companion.recipes {args.name} --bounds {args.bounds}",
        "architecture": recipe.architecture,
        "data": "MNIST, training images 6,001 to 60,000, binarized afresh at each step",
        "n_images": len(images),
        "epochs": sum(phase.epochs for phase in recipe.phases),
        "phases": [phase._asdict() for phase in recipe.phases],
        "batch_size": recipe.batch_size,
        "seed": recipe.seed,
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
    parser.add_argument("name", choices=RECIPES)
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
