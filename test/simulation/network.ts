import type { Chance } from "./seeded.ts";
import type { Schedule } from "./schedule.ts";

/** How bad the wire is. Probabilities per message; delays in ms. */
export interface Weather {
  loss: number;
  repeat: number;
  minDelayMs: number;
  maxDelayMs: number;
}

/**
 * The wire between one worker and the manager. Messages are lost, repeated, late and out of order; what is under way when a
 * link is cut may arrive all the same, as with a broker that had taken it.
 */
export class Network {
  readonly #schedule: Schedule;
  readonly #chance: Chance;
  weather: Weather;

  constructor(schedule: Schedule, chance: Chance, weather: Weather) {
    this.#schedule = schedule;
    this.#chance = chance;
    this.weather = weather;
  }

  /** `arrive` gets its own copy each time; nothing is shared between the two sides. */
  send<T>(message: T, arrive: (copy: T) => void): void {
    const text = JSON.stringify(message);
    const copies = this.#chance.happens(this.weather.loss) ? 0 : this.#chance.happens(this.weather.repeat) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      this.#schedule.after(this.#chance.between(this.weather.minDelayMs, this.weather.maxDelayMs), () =>
        arrive(JSON.parse(text) as T),
      );
    }
  }
}
