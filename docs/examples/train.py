"""A training loop that a relaunch continues: it resumes from the newest complete checkpoint, and its end says why it ended.

Runs as it stands, on CPUs too: `sh entrypoint.sh --nproc-per-node 2 train.py DIRECTORY [STEPS]`.
"""

import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.nn.parallel import DistributedDataParallel

SAVE_EVERY = 100  # steps; see "How often" in docs/checkpoints.md
NO_RECOVERY = Path(os.environ.get("NO_RECOVERY_FILE", "/tmp/no-recovery"))  # entrypoint.sh makes exit code 93 of it

stopping = False


def stop(*_):
    """SIGTERM: ECS stops the task, SIGKILL follows after `stopTimeout`. Only note it; the loop ends between two steps."""
    global stopping
    stopping = True


def complete(directory: Path) -> list[Path]:
    """Checkpoints with their last file in place, oldest first. A rank that died while saving leaves one without it."""
    return sorted(d for d in directory.glob("step-*") if (d / ".metadata").exists())


def main() -> int:
    directory, steps = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    signal.signal(signal.SIGTERM, stop)
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")

    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(8, 1).to(device))
    optimizer = torch.optim.AdamW(model.parameters())

    first = 0
    if found := complete(directory):
        weights, moments = get_state_dict(model, optimizer)
        state = {"model": weights, "optimizer": moments, "step": 0}
        dcp.load(state, checkpoint_id=found[-1])
        set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        first = state["step"]
    if dist.get_rank() == 0:
        print(f"begins after step {first}", flush=True)

    for step in range(first + 1, steps + 1):
        inputs = torch.randn(16, 8, device=device)
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        # All ranks must do the same: one that saves or ends alone leaves the others in a collective.
        word = torch.tensor([stopping, not torch.isfinite(loss)], dtype=torch.int, device=device)
        dist.all_reduce(word, op=dist.ReduceOp.MAX)
        stop_now, diverged = word.tolist()
        if diverged:  # a relaunch would only diverge again
            NO_RECOVERY.touch()
            return 1
        if step % SAVE_EVERY == 0 or stop_now or step == steps:
            weights, moments = get_state_dict(model, optimizer)
            state = {"model": weights, "optimizer": moments, "step": step}
            dcp.save(state, checkpoint_id=directory / f"step-{step:09}")
        if stop_now:
            return 128 + signal.SIGTERM  # interrupted, not complete
    return 0


if __name__ == "__main__":
    code = main()
    dist.barrier()
    dist.destroy_process_group()
    sys.exit(code)
