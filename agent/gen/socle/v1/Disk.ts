// Original file: proto/socle/v1/vm.proto

import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from '../../socle/v1/VolumeReference.ts';
import type { NewVolume as _socle_v1_NewVolume, NewVolume__Output as _socle_v1_NewVolume__Output } from '../../socle/v1/NewVolume.ts';
import type { DiskLimits as _socle_v1_DiskLimits, DiskLimits__Output as _socle_v1_DiskLimits__Output } from '../../socle/v1/DiskLimits.ts';
import type { CdromDrive as _socle_v1_CdromDrive, CdromDrive__Output as _socle_v1_CdromDrive__Output } from '../../socle/v1/CdromDrive.ts';

export interface Disk {
  'name'?: (string);
  'volume'?: (_socle_v1_VolumeReference | null);
  'newVolume'?: (_socle_v1_NewVolume | null);
  'readOnly'?: (boolean);
  'limits'?: (_socle_v1_DiskLimits | null);
  'cdrom'?: (_socle_v1_CdromDrive | null);
  'source'?: "volume"|"newVolume"|"cdrom";
}

export interface Disk__Output {
  'name': (string);
  'volume'?: (_socle_v1_VolumeReference__Output | null);
  'newVolume'?: (_socle_v1_NewVolume__Output | null);
  'readOnly': (boolean);
  'limits': (_socle_v1_DiskLimits__Output | null);
  'cdrom'?: (_socle_v1_CdromDrive__Output | null);
  'source'?: "volume"|"newVolume"|"cdrom";
}
