"""Bytes read and memory of this process and its descendants; the only file that uses psutil."""

import psutil


def bytes_read() -> int:
    """Bytes that this process has asked the system to read so far, from its cache or not."""
    return int(psutil.Process().io_counters().read_chars)


def own_memory() -> int:
    """Bytes that belong to this process alone, without what it shares, such as Ray's object store."""
    return int(psutil.Process().memory_full_info().uss)


def total_memory() -> int:
    """Memory of the machine, bytes."""
    return int(psutil.virtual_memory().total)


def tree_memory(pid: int) -> int:
    """Proportional set sizes, bytes, of a process and all its descendants; 0 where it is gone.

    Pages that several share, Ray's object store among them, count once in all.
    """
    return sum(_proportional(process) for process in _tree(pid))


def end_tree(pid: int) -> None:
    """Kill a process and all its descendants."""
    processes = _tree(pid)
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


def _tree(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
