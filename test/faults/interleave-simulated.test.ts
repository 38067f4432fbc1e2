import { shortRun } from "./short-run.ts";

// Three minutes on two idle cores; its simulations yield the CPU to other tests, and machines differ.
shortRun("interleave", 2000, { part: "simulated", timeoutMs: 1_700_000 });
