// Original file: proto/socle/v1/guest.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { Long } from '@grpc/proto-loader';

export interface _socle_v1_GuestInfo_Filesystem {
  'mountPoint'?: (string);
  'type'?: (string);
  'totalBytes'?: (number | string | Long);
  'usedBytes'?: (number | string | Long);
  '_totalBytes'?: "totalBytes";
  '_usedBytes'?: "usedBytes";
}

export interface _socle_v1_GuestInfo_Filesystem__Output {
  'mountPoint': (string);
  'type': (string);
  'totalBytes'?: (number);
  'usedBytes'?: (number);
  '_totalBytes'?: "totalBytes";
  '_usedBytes'?: "usedBytes";
}

export interface _socle_v1_GuestInfo_Interface {
  'name'?: (string);
  'mac'?: (string);
  'addresses'?: (string)[];
}

export interface _socle_v1_GuestInfo_Interface__Output {
  'name': (string);
  'mac': (string);
  'addresses': (string)[];
}

export interface _socle_v1_GuestInfo_User {
  'name'?: (string);
  'loginAt'?: (_google_protobuf_Timestamp | null);
}

export interface _socle_v1_GuestInfo_User__Output {
  'name': (string);
  'loginAt': (_google_protobuf_Timestamp__Output | null);
}

export interface GuestInfo {
  'agentVersion'?: (string);
  'hostname'?: (string);
  'osId'?: (string);
  'osName'?: (string);
  'osVersion'?: (string);
  'kernel'?: (string);
  'timezone'?: (string);
  'time'?: (_google_protobuf_Timestamp | null);
  'users'?: (_socle_v1_GuestInfo_User)[];
  'filesystems'?: (_socle_v1_GuestInfo_Filesystem)[];
  'interfaces'?: (_socle_v1_GuestInfo_Interface)[];
}

export interface GuestInfo__Output {
  'agentVersion': (string);
  'hostname': (string);
  'osId': (string);
  'osName': (string);
  'osVersion': (string);
  'kernel': (string);
  'timezone': (string);
  'time': (_google_protobuf_Timestamp__Output | null);
  'users': (_socle_v1_GuestInfo_User__Output)[];
  'filesystems': (_socle_v1_GuestInfo_Filesystem__Output)[];
  'interfaces': (_socle_v1_GuestInfo_Interface__Output)[];
}
