import { Script } from 'node:vm'

/** Thrown where something took longer than it may. */
export class TimeLimit extends Error {}

const globalKey = Symbol.for('headzip.bounded')
const script = new Script(`globalThis[Symbol.for('headzip.bounded')]()`)

/**
 * Runs `act`, which V8 ends in the middle of a loop or a regular expression when its time is out; what it was changing
 * is then left as it is. In the process of a tokenizer only: nothing else runs meanwhile.
 * @throws TimeLimit
 */
export function bounded<T>(act: () => T, seconds: number): T {
  Object.assign(globalThis, { [globalKey]: act })
  try {
    return script.runInThisContext({ timeout: Math.max(1, Math.ceil(seconds * 1000)) }) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw new TimeLimit()
    throw error
  }
}
