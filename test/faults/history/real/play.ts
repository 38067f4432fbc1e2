// Plays and checks only real histories of the campaign interleave, for debugging. As root, with libvirt installed.
//
//   play.ts --seed FIRST --count N        a history with a violation is kept in .cache/histories
import { asked, campaign } from "../../campaign.ts";
import { playReal } from "../../interleave-real.ts";

await campaign({ name: "interleave-real", count: 1000 }, async (run) => {
  const firstSeed = asked("--seed") ?? 1;
  return { seed: firstSeed, ...(await playReal(run, { firstSeed, count: run.count })) };
});
