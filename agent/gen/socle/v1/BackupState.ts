// Original file: proto/socle/v1/backup.proto

export const BackupState = {
  BACKUP_STATE_UNSPECIFIED: 'BACKUP_STATE_UNSPECIFIED',
  BACKUP_STATE_OPEN: 'BACKUP_STATE_OPEN',
  BACKUP_STATE_COMPLETE: 'BACKUP_STATE_COMPLETE',
} as const;

export type BackupState =
  | 'BACKUP_STATE_UNSPECIFIED'
  | 0
  | 'BACKUP_STATE_OPEN'
  | 1
  | 'BACKUP_STATE_COMPLETE'
  | 2

export type BackupState__Output = typeof BackupState[keyof typeof BackupState]
