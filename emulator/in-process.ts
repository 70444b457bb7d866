/** The emulator as a target without a socket: requests become function calls. */
import { controlBelow, type Target } from '../contracts/target.ts';
import { createEmulator, type Emulator, type EmulatorOptions } from './emulator.ts';

export interface InProcess {
  target: Target;
  emulator: Emulator;
  close(): Promise<void>;
}

export function inProcess(options: EmulatorOptions = {}): InProcess {
  const emulator = createEmulator(options);
  const target: Target = {
    name: 'in-process',
    authorization: 'Bearer scenario',
    control: controlBelow(options.controlToken && `Bearer ${options.controlToken}`),
    async send({ method, path, headers, body }) {
      const init = { method, headers, ...(body === undefined ? {} : { body }) };
      return emulator.fetch(new Request(`http://localhost:3686${path}`, init));
    },
  };
  return { target, emulator, close: () => emulator.close() };
}
