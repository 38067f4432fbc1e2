import { shortRun } from "./short-run.ts";

// Two minutes on two idle cores; other tests run at the same time, and machines differ.
shortRun("interleave", 2000, { timeoutMs: 850_000 });
