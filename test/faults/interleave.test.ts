import { shortRun } from "./short-run.ts";

// Two minutes of two cores where nothing else runs; other tests run beside it, and machines differ.
shortRun("interleave", 2000, { timeoutMs: 850_000 });
