// Tells a story on the terminal: the time in the margin, plain text, colours where somebody sees them.
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

const MARGIN = 9
const LABEL = 44

export class Narrator {
  readonly #startedAt = performance.now()

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000
  }

  title(text: string): void {
    this.#print(`\n${this.#style('bold', text)}`)
  }

  scene(text: string): void {
    this.#print(`\n${' '.repeat(MARGIN)}${this.#style('bold', text)}`)
  }

  /** A line of the story, with the time at which it happened. */
  tell(text: string): void {
    const time = `${this.seconds.toFixed(1)} s`.padStart(MARGIN - 2)
    this.#print(`${this.#style('dim', time)}  ${text}`)
  }

  says(name: string, words: string, note: string): void {
    this.tell(`${this.#style('cyan', `${name}:`)} “${words}”  ${this.#style('dim', note)}`)
  }

  alarm(text: string): void {
    this.tell(this.#style('red', text))
  }

  figure(label: string, value: string | number): void {
    this.#print(`${' '.repeat(MARGIN)}${`${label} `.padEnd(LABEL, '.')} ${String(value).padStart(6)}`)
  }

  verdict(isGood: boolean, text: string): void {
    const mark = isGood ? '✔' : '✖'
    this.#print(`\n${this.#style(isGood ? 'green' : 'red', `${mark} ${text}`)}\n`)
  }

  /** `styleText` itself respects NO_COLOR and what the stream is. */
  #style(style: Style, text: string): string {
    return styleText(style, text, { stream: process.stdout })
  }

  #print(line: string): void {
    process.stdout.write(`${line}\n`)
  }
}
