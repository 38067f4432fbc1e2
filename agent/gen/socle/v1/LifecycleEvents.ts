// Original file: proto/socle/v1/scheduler.proto

import type { Event as _socle_v1_Event, Event__Output as _socle_v1_Event__Output } from '../../socle/v1/Event.ts';

export interface LifecycleEvents {
  'events'?: (_socle_v1_Event)[];
}

export interface LifecycleEvents__Output {
  'events': (_socle_v1_Event__Output)[];
}
