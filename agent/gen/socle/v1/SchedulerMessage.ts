// Original file: proto/socle/v1/scheduler.proto

import type { Welcome as _socle_v1_Welcome, Welcome__Output as _socle_v1_Welcome__Output } from '../../socle/v1/Welcome.ts';
import type { Ack as _socle_v1_Ack, Ack__Output as _socle_v1_Ack__Output } from '../../socle/v1/Ack.ts';
import type { Resync as _socle_v1_Resync, Resync__Output as _socle_v1_Resync__Output } from '../../socle/v1/Resync.ts';
import type { Reconnect as _socle_v1_Reconnect, Reconnect__Output as _socle_v1_Reconnect__Output } from '../../socle/v1/Reconnect.ts';

export interface SchedulerMessage {
  'welcome'?: (_socle_v1_Welcome | null);
  'ack'?: (_socle_v1_Ack | null);
  'resync'?: (_socle_v1_Resync | null);
  'reconnect'?: (_socle_v1_Reconnect | null);
  'message'?: "welcome"|"ack"|"resync"|"reconnect";
}

export interface SchedulerMessage__Output {
  'welcome'?: (_socle_v1_Welcome__Output | null);
  'ack'?: (_socle_v1_Ack__Output | null);
  'resync'?: (_socle_v1_Resync__Output | null);
  'reconnect'?: (_socle_v1_Reconnect__Output | null);
  'message'?: "welcome"|"ack"|"resync"|"reconnect";
}
