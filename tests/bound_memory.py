"""Peak memory of the importance-weighted bound: `python tests/bound_memory.py N_SAMPLES HIDDEN`.

Prints the MiB that a bound on 1,000 images of MNIST's size needs beyond what is there before it.
The tests run it in a process of its own, where nothing else moves the peak.
"""

import re
import sys
import time
from pathlib import Path

import torch

from companion.likelihoods import Bernoulli
from companion.networks import MLPDecoder, MLPEncoder
from companion.priors import StandardNormal
from companion.vae import VAE, importance_weighted_bound

N_IMAGES = 1_000


def peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # Linux; ru_maxrss would start at the peak of the parent process
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    import resource

    in_bytes = sys.platform == "darwin"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if in_bytes else 2**10)


def main(n_samples: int, hidden: int) -> None:
    shape = (1, 28, 28)
    encoder, decoder = MLPEncoder(shape, 20, (hidden,)), MLPDecoder(20, shape, (hidden,))
    vae = VAE(encoder, decoder, Bernoulli(), StandardNormal(20))
    x = (torch.rand(N_IMAGES, *shape) > 0.5).float()
    importance_weighted_bound(vae, x[:10], 2)
    before, start = peak_mib(), time.perf_counter()
    bound = importance_weighted_bound(vae, x, n_samples)
    print(f"{time.perf_counter() - start:.1f} s", file=sys.stderr)
    assert bound.shape == (N_IMAGES,)
    assert bound.isfinite().all()
    print(peak_mib() - before)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
