// Original file: proto/socle/v1/scheduler.proto

import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from '../../socle/v1/Position.ts';

export interface Hello {
  'hostId'?: (string);
  'hostname'?: (string);
  'agentVersion'?: (string);
  'capabilities'?: (string)[];
  'position'?: (_socle_v1_Position | null);
  'digest'?: (string);
  'agentAddress'?: (string);
}

export interface Hello__Output {
  'hostId': (string);
  'hostname': (string);
  'agentVersion': (string);
  'capabilities': (string)[];
  'position': (_socle_v1_Position__Output | null);
  'digest': (string);
  'agentAddress': (string);
}
