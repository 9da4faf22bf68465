"""Uses and misuses a GPU as a training program would: python3 gpu-faults.py WHAT."""

import os
import signal
import sys
import time

import cupy

SOURCE = r"""
extern "C" __global__ void misaligned(char *at) { *(int *)(at + 1) = 1; }
extern "C" __global__ void illegal_address(char *at) { *(int *)(at + (1ull << 44)) = 1; }
extern "C" __global__ void shared_address(char *at) {
    __shared__ int mine[4];
    volatile int *p = mine;
    p[(1 << 26) + threadIdx.x] = 1;
    at[0] = (char)p[0];
}
extern "C" __device__ __noinline__ int deep(int n, char *at) {
    volatile char keep[1024];
    keep[n & 1023] = at[0];
    return n < 0 ? 0 : deep(n + 1, at) + keep[n & 1023];
}
extern "C" __global__ void stack(char *at) { at[0] = (char)deep(1, at); }
extern "C" __global__ void trap(char *at) { asm("trap;"); }
extern "C" __global__ void spin(volatile char *at) { while (at[0] == 0) {} }
"""


def kernel(name):
    cupy.RawKernel(SOURCE, name)((1,), (32,), (memory,))


def hold(how, group=None):
    if how == "login":
        with open("/proc/self/loginuid", "w") as loginuid:
            loginuid.write("1000")
    if how == "container":
        with open(group + "/cgroup.procs", "w") as procs:
            procs.write(str(os.getpid()))
    print("holding", how, open("/proc/self/cgroup").read().strip(), flush=True)
    time.sleep(60)


what = sys.argv[1]
if what == "hostile-name":  # what the driver prints of a process, as far as its 15 bytes go
    what = "illegal-address"
    with open("/proc/self/comm", "w") as comm:
        comm.write("x\nNVRM: Xid 79,")
memory = cupy.zeros(1 << 20, dtype=cupy.int8)
if what == "hold":
    hold(*sys.argv[2:])
elif what == "busy":
    a = cupy.random.random((8192, 8192), dtype=cupy.float32)
    end = time.time() + 60
    while time.time() < end:
        a @ a
        cupy.cuda.Device().synchronize()
elif what == "killed":
    kernel("spin")
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGKILL)
elif what == "out-of-memory":
    try:
        cupy.zeros(1 << 40, dtype=cupy.int8)
    except cupy.cuda.memory.OutOfMemoryError:
        os.abort()
else:
    try:
        kernel(what.replace("-", "_"))
        cupy.cuda.Device().synchronize()
        print("no error")
    except cupy.cuda.runtime.CUDARuntimeError as error:
        print(error, end="", flush=True)
    os._exit(1)
