import { shortRun } from "./short-run.ts";

shortRun("kill", 32);
