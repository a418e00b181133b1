"""A plan as plain data and as lines for a person; no path of this host is in either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gbuild.model.plan import (
    CutNetwork,
    GetTree,
    Job,
    MakeFolders,
    MoveBuild,
    Plan,
    PutFiles,
    PutTree,
    RunScript,
    SetAlternative,
    Step,
)


def describe_step(step: Step) -> Mapping[str, object]:
    """Return a step as plain data without paths of this host."""
    found: dict[str, object]
    match step:
        case MakeFolders(paths=paths):
            found = {"step": "make-folders", "paths": list(paths)}
        case MoveBuild(path=path, link=link):
            found = {"step": "move-build", "path": path, "link": link}
        case PutFiles(files=files, dest=dest):
            held = [{"name": f.name, "sha256": f.sha256} for f in files]
            found = {"step": "put-files", "dest": dest, "files": held}
        case PutTree(dest=dest, digest=digest):
            found = {"step": "put-tree", "dest": dest, "digest": digest}
        case SetAlternative(name=name, path=path):
            found = {"step": "set-alternative", "name": name, "path": path}
        case CutNetwork():
            found = {"step": "cut-network"}
        case RunScript(argv=argv, script=script):
            text = script.decode(errors="replace")
            found = {"step": "run-script", "argv": list(argv), "script": text}
        case GetTree(source=source, role=role, folder=folder):
            found = {"step": "get-tree", "source": source, "role": role, "folder": folder}
    return found


def describe(plan: Plan) -> Mapping[str, object]:
    """Return the plan as plain data, for ``--dry-run --json``."""
    return {
        "name": plan.name,
        "digest": plan.digest,
        "warnings": list(plan.warnings),
        "jobs": [_describe_job(job) for job in plan.jobs],
    }


def _describe_job(job: Job) -> Mapping[str, object]:
    return {
        "label": job.label,
        "digest": job.digest,
        "environment": job.environment,
        "environment_digest": job.environment_digest,
        "user": job.user,
        "network": "full" if job.network else "none",
        "sudo": job.sudo,
        "scratch": job.scratch,
        "steps": [describe_step(step) for step in job.steps],
    }


def lines(plan: Plan) -> Sequence[str]:
    """Return the plan as lines for a person, for ``--dry-run``."""
    found = [f"plan {plan.digest[:16]} of {plan.name}"]
    for job in plan.jobs:
        network = "with network" if job.network else "no network"
        found.append(f"job {job.label}: {job.user}, {network}, scratch on {job.scratch}")
        found += [f"  {number}. {_line(step)}" for number, step in enumerate(job.steps, 1)]
    return found


def _line(step: Step) -> str:
    found: str
    match step:
        case MakeFolders(paths=paths):
            found = f"make {' '.join(paths)}"
        case MoveBuild(path=path, link=link):
            found = f"make {path} the build folder, behind {link}"
        case PutFiles(files=files, dest=dest):
            found = f"put {', '.join(f.name for f in files)} into {dest}"
        case PutTree(dest=dest, digest=digest):
            found = f"put {digest[:24]} at {dest}"
        case SetAlternative(name=name, path=path):
            found = f"as root: update-alternatives --set {name} {path}"
        case CutNetwork():
            found = "cut the network"
        case RunScript(argv=argv, script=script):
            found = f"run {len(script.splitlines())} lines with {' '.join(argv)}"
        case GetTree(source=source, role=role):
            found = f"get {source} ({role})"
    return found
