// Original file: proto/socle/v1/vm.proto

import type { Vm as _socle_v1_Vm, Vm__Output as _socle_v1_Vm__Output } from '../../socle/v1/Vm.ts';

// Original file: proto/socle/v1/vm.proto

export const _socle_v1_WatchVmsResponse_Kind = {
  KIND_UNSPECIFIED: 'KIND_UNSPECIFIED',
  KIND_ADDED: 'KIND_ADDED',
  KIND_CHANGED: 'KIND_CHANGED',
  KIND_REMOVED: 'KIND_REMOVED',
  KIND_SYNCED: 'KIND_SYNCED',
  KIND_RESYNC: 'KIND_RESYNC',
  KIND_UNREADABLE: 'KIND_UNREADABLE',
} as const;

export type _socle_v1_WatchVmsResponse_Kind =
  | 'KIND_UNSPECIFIED'
  | 0
  | 'KIND_ADDED'
  | 1
  | 'KIND_CHANGED'
  | 2
  | 'KIND_REMOVED'
  | 3
  | 'KIND_SYNCED'
  | 4
  | 'KIND_RESYNC'
  | 5
  | 'KIND_UNREADABLE'
  | 6

export type _socle_v1_WatchVmsResponse_Kind__Output = typeof _socle_v1_WatchVmsResponse_Kind[keyof typeof _socle_v1_WatchVmsResponse_Kind]

export interface WatchVmsResponse {
  'kind'?: (_socle_v1_WatchVmsResponse_Kind);
  'vm'?: (_socle_v1_Vm | null);
  'specUnreadable'?: (number);
}

export interface WatchVmsResponse__Output {
  'kind': (_socle_v1_WatchVmsResponse_Kind__Output);
  'vm': (_socle_v1_Vm__Output | null);
  'specUnreadable': (number);
}
