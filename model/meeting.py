"""`python -m model.launch 2 model.meeting`: two processes meet as ranks do, and add their numbers.

On GPUs where there is one for each, by NCCL, else on the CPU by gloo. The first prints what took
part, and how long the first and the second sum took.
"""

import os
import socket
import time

import torch

from model.training.distributed import open_ranks
from study.command import command_parser, run_command
from study.errors import StudyError


def main(arguments: list[str] | None = None) -> None:
    """Command line of the meeting."""
    example = "python -m model.launch 2 model.meeting"
    command_parser("model.meeting", __doc__, example).parse_args(arguments)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    device = "cuda" if torch.cuda.device_count() >= here else "cpu"
    with open_ranks(device) as ranks:
        seconds = []
        for _ in range(2):
            began = time.monotonic()
            total = ranks.sum(torch.full((1000,), ranks.rank + 1.0, device=ranks.device))
            wanted = ranks.world * (ranks.world + 1) / 2
            if total.tolist() != [wanted] * 1000:
                raise StudyError(f"the ranks' sum is {total[0].item()}, and should be {wanted}")
            seconds.append(time.monotonic() - began)
        if ranks.first:
            carrier = "NCCL" if device == "cuda" else "gloo (no GPU for each)"
            print(
                f"{ranks.world}, the first on {socket.gethostname()}, added their numbers by "
                f"{carrier} in {seconds[0]:.2f} s, then in {seconds[1]:.3f} s"
            )


if __name__ == "__main__":
    run_command(main)
