"""What a machine that trains must have: a GPU that TensorFlow can use, if there is to be one."""

import json
import subprocess
import sys

from polyid.errors import PolyIDError
from trainer.doctor.case import Case
from trainer.doctor.finding import Question
from trainer.provenance import hardware, nvidia_smi
from trainer.registry.staging import size_text

#: Bytes of GPU memory below which nobody has tried a recipe of publication size.
GPU_ROOM = 6_000_000_000
_TENSORFLOW_S = 300
_PROBE = """
import json
import tensorflow as tf
found = tf.config.list_physical_devices("GPU")
for i in range(len(found)):
    with tf.device(f"/GPU:{i}"):
        float(tf.reduce_sum(tf.linalg.matmul(tf.ones((256, 256)), tf.ones((256, 256)))))
built = tf.sysconfig.get_build_info().get("cuda_version")
print(json.dumps({"gpus": len(found), "version": tf.__version__, "cuda": built}))
"""


def machine(case: Case) -> list[Question]:
    """Return what is asked of this machine."""
    return [
        Question("GPU", lambda: gpu(case)),
        Question("TensorFlow", tensorflow),
    ]


def gpu(case: Case) -> str:
    """See that there is a GPU with room, where there is to be one."""
    listed = nvidia_smi("name,memory.total,memory.free")
    if not listed:
        if case.gpu:
            raise PolyIDError(
                "No NVIDIA GPU is visible (nvidia-smi lists none). Install its driver; in a "
                "container give `--gpus all` and the NVIDIA container toolkit; or choose another "
                "machine."
            )
        here = hardware()
        return f"none; training uses {here.cores} cores of {here.cpu} (ask with --gpu for one)"
    told = []
    for name, total, free in listed:
        if not free.isdigit() or int(free) * 1_048_576 < GPU_ROOM:
            room = size_text(int(free) * 1_048_576) if free.isdigit() else free
            raise PolyIDError(
                f"{name}: {room} of its memory are free, {size_text(GPU_ROOM)} wanted. End what "
                "uses it (`nvidia-smi` lists the processes), or choose another with "
                "CUDA_VISIBLE_DEVICES."
            )
        told.append(f"{name}, {size_text(int(free) * 1_048_576)} of {total} MiB free")
    return "; ".join(told)


def tensorflow() -> str:
    """See that TensorFlow loads, and computes on every GPU that the driver lists."""
    there = len(hardware().gpus)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=_TENSORFLOW_S
        )
    except subprocess.TimeoutExpired:
        raise PolyIDError(
            f"TensorFlow did not compute anything within {_TENSORFLOW_S} s. Look at the machine's "
            "load (`top`) and GPUs (`nvidia-smi`), then ask again."
        ) from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise PolyIDError(
            f"TensorFlow fails: {lines[-1] if lines else done.returncode}. Install what "
            "requirements/ locks (`make setup`), or use the training image."
        )
    said = json.loads(done.stdout.splitlines()[-1])
    if said["gpus"] < there:
        raise PolyIDError(
            f"The driver lists {there} GPU{'s' * (there != 1)}, and TensorFlow {said['version']} "
            f"can use {said['gpus']} of them (it was built for CUDA {said['cuda']}). Install the "
            "CUDA libraries (requirements/image-train-cuda.lock, or the training image with "
            "ACCELERATOR=cuda), and see that the driver is new enough for them."
        )
    where = f"{said['gpus']} GPU{'s' * (said['gpus'] != 1)}" if there else "the CPU"
    return f"TensorFlow {said['version']} computes on {where}"
