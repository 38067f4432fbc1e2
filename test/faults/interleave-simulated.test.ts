import { shortRun } from "./short-run.ts";

// A minute and a half on two idle cores; its simulations yield the CPU to other tests, and machines differ.
shortRun("interleave", 1000, { part: "simulated", timeoutMs: 1_700_000 });
