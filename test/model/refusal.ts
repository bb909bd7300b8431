import { expect } from 'vitest'
import { InputError } from '../../src/errors.js'

/** The sentence that `act` is refused with, with `path`, where it stands in it, called `name`. */
export function refusalOf(act: () => unknown, path: string, name: string): string {
  try {
    act()
  } catch (error) {
    expect(error).toBeInstanceOf(InputError)
    return (error as Error).message.replaceAll(path, name)
  }
  throw new Error('nothing was refused')
}
