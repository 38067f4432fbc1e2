import { shortRun } from "./short-run.ts";

shortRun("soak", 60);
