// Original file: proto/socle/v1/event.proto

import type { EventKind as _socle_v1_EventKind, EventKind__Output as _socle_v1_EventKind__Output } from '../../socle/v1/EventKind.ts';
import type { Long } from '@grpc/proto-loader';

export interface SubscribeRequest {
  'afterSequence'?: (number | string | Long);
  'fromNow'?: (boolean);
  'kinds'?: (_socle_v1_EventKind)[];
  'logId'?: (string);
}

export interface SubscribeRequest__Output {
  'afterSequence': (number);
  'fromNow': (boolean);
  'kinds': (_socle_v1_EventKind__Output)[];
  'logId': (string);
}
