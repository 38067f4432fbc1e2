import { shortRun } from "./short-run.ts";

shortRun("attack", 80);
