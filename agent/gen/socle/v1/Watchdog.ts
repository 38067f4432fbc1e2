// Original file: proto/socle/v1/vm.proto

import type { WatchdogModel as _socle_v1_WatchdogModel, WatchdogModel__Output as _socle_v1_WatchdogModel__Output } from '../../socle/v1/WatchdogModel.ts';
import type { WatchdogAction as _socle_v1_WatchdogAction, WatchdogAction__Output as _socle_v1_WatchdogAction__Output } from '../../socle/v1/WatchdogAction.ts';

export interface Watchdog {
  'model'?: (_socle_v1_WatchdogModel);
  'action'?: (_socle_v1_WatchdogAction);
}

export interface Watchdog__Output {
  'model': (_socle_v1_WatchdogModel__Output);
  'action': (_socle_v1_WatchdogAction__Output);
}
