# SPDX-License-Identifier: GPL-2.0
"""Reads what a scene's driver wrote: the result lines of one job.log."""
import re
import statistics

WORD = re.compile(r'(\w+)=("[^"]*"|\S+)')


def words(line):
    """The key=value words of a result line."""
    return {key: value.strip('"') for key, value in WORD.findall(line)}


class Variant:
    """What one machine's job.log says."""

    def __init__(self, folder):
        self.name = folder.name
        self.folder = folder
        self.rc = int((folder / "rc").read_text())
        self.cached = (folder / "cached").exists()
        self.kernel = "patched" if self.name == "hotremove" else "base"
        self.lines = {}
        self.maps = {}
        self.ended = False
        current = None
        log = folder / "job.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        for line in text.splitlines():
            kind, _, rest = line.removeprefix("scene ").partition(" ")
            if not line.startswith("scene "):
                if current is not None and not line.startswith("# kmsg"):
                    current.append(line)
            elif kind == "map-begin":
                current = self.maps[rest] = []
            elif kind == "map-end":
                current = None
            elif kind == "end":
                self.ended = True
            elif kind == "violation":
                self.lines.setdefault(kind, []).append(rest)
            else:
                self.lines.setdefault(kind, []).append(words(rest))

    def get(self, kind):
        """All lines of a kind, as dictionaries."""
        return self.lines.get(kind, [])

    def misses(self):
        """Tries that failed, each with the pages that held the block."""
        for line in self.get("try"):
            if line["ok"] == "1":
                continue
            key = (line["round"], line["block"])
            held = [h for h in self.get("held")
                    if (h["round"], h["block"]) == key]
            yield {"round": int(key[0]), "block": int(key[1]),
                   "errno": line["errno"], "ms": float(line["ms"]),
                   "timed_out": line["timed_out"] == "1",
                   "pages": [{k: h[k] for k in
                              ("pfn", "reason", "page", "owner")}
                             for h in held]}

    def summary(self):
        """The variant's entry of summary.json."""
        tries = self.get("try")
        good = [float(t["ms"]) for t in tries if t["ok"] == "1"]
        audit = (self.get("audit") or [{}])[-1]
        data = self.get("data")
        return {
            "kernel": self.kernel,
            "cached": self.cached,
            "vm_exit": self.rc,
            "offline_ok": len(good),
            "offline_tries": len(tries),
            "dimms": int((self.get("begin") or [{"blocks": 0}])[0]["blocks"]),
            "unplugged": sum(u["ok"] == "1" for u in self.get("unplug")),
            "median_ms": round(statistics.median(good), 1) if good else None,
            "worst_ms": max(good, default=None),
            "min_fill_pct": min((float(t["least_pct"]) for t in tries),
                                default=None),
            "misses": list(self.misses()),
            "audit": {k: int(v) for k, v in audit.items()},
            "verified_mb": sum(int(d["verified_mb"]) for d in data),
            "mismatches": sum(int(d["mismatches"]) for d in data),
            "load": data,
            "counters": self.get("counters"),
            "vmstat": self.get("vmstat"),
            "tries": [{k: float(t[k]) for k in
                       ("round", "block", "ok", "ms", "fill_pct",
                        "least_pct", "waited_ms")} for t in tries],
        }
