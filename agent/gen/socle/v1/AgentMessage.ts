// Original file: proto/socle/v1/scheduler.proto

import type { Hello as _socle_v1_Hello, Hello__Output as _socle_v1_Hello__Output } from '../../socle/v1/Hello.ts';
import type { Heartbeat as _socle_v1_Heartbeat, Heartbeat__Output as _socle_v1_Heartbeat__Output } from '../../socle/v1/Heartbeat.ts';
import type { Delta as _socle_v1_Delta, Delta__Output as _socle_v1_Delta__Output } from '../../socle/v1/Delta.ts';
import type { LifecycleEvents as _socle_v1_LifecycleEvents, LifecycleEvents__Output as _socle_v1_LifecycleEvents__Output } from '../../socle/v1/LifecycleEvents.ts';
import type { Goodbye as _socle_v1_Goodbye, Goodbye__Output as _socle_v1_Goodbye__Output } from '../../socle/v1/Goodbye.ts';

export interface AgentMessage {
  'hello'?: (_socle_v1_Hello | null);
  'heartbeat'?: (_socle_v1_Heartbeat | null);
  'delta'?: (_socle_v1_Delta | null);
  'events'?: (_socle_v1_LifecycleEvents | null);
  'goodbye'?: (_socle_v1_Goodbye | null);
  'message'?: "hello"|"heartbeat"|"delta"|"events"|"goodbye";
}

export interface AgentMessage__Output {
  'hello'?: (_socle_v1_Hello__Output | null);
  'heartbeat'?: (_socle_v1_Heartbeat__Output | null);
  'delta'?: (_socle_v1_Delta__Output | null);
  'events'?: (_socle_v1_LifecycleEvents__Output | null);
  'goodbye'?: (_socle_v1_Goodbye__Output | null);
  'message'?: "hello"|"heartbeat"|"delta"|"events"|"goodbye";
}
