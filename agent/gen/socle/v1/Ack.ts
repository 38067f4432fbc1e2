// Original file: proto/socle/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface Ack {
  'generation'?: (number | string | Long);
  'eventSequence'?: (number | string | Long);
}

export interface Ack__Output {
  'generation': (number);
  'eventSequence': (number);
}
