// Original file: proto/socle/v1/screen.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';

export interface ScreenTicket {
  'ticket'?: (string);
  'expiresAt'?: (_google_protobuf_Timestamp | null);
}

export interface ScreenTicket__Output {
  'ticket': (string);
  'expiresAt': (_google_protobuf_Timestamp__Output | null);
}
