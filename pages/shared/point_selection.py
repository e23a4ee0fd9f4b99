"""Point at what a figure shows: a click selects a point, a box or a lasso those inside it.

The figure itself never changes, so it keeps its zoom and is not redrawn, which takes the browser
half a minute with 50,000 points. Marks around points are drawn on top.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from emap_core.types import Mask
from pages.shared.display import theme

_MOST_CORNERS = 2_000

_POINTING = st.components.v2.component(
    "pointing",
    html="<fieldset><legend>The mouse</legend><div></div></fieldset>",
    css="""
        fieldset { all: unset; display: block; font-size: 0.875rem; color: var(--st-text-color) }
        legend { padding: 0; line-height: 1.75rem }
        fieldset > div { display: flex; flex-wrap: wrap; row-gap: 0.25rem }
        label { position: relative; cursor: pointer }
        input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer }
        span {
            display: block; padding: 0 0.75rem; line-height: 1.875rem; white-space: nowrap;
            border: 1px solid var(--st-border-color); margin-right: -1px;
        }
        label:first-child span { border-radius: 0.5rem 0 0 0.5rem }
        label:last-child span { border-radius: 0 0.5rem 0.5rem 0 }
        label:hover span, input:checked + span { border-color: var(--st-primary-color) }
        input:checked + span { position: relative; box-shadow: inset 0 0 0 1px
            var(--st-primary-color);
            background: color-mix(in srgb, var(--st-primary-color) 12%, transparent) }
        input:focus-visible + span { outline: 2px solid var(--st-link-color); outline-offset: 2px }
        @media print { fieldset { display: none } }
    """,
    js="""
        const FAR = 3       // Pixels between two corners of a lasso; less is a shaky hand.
        const MANY = 3000   // With more points, rings would hide one another.
        const FADED = 0.75
        const MOST = 1000   // At most this many corners of a lasso are sent.
        const SVG = "http://www.w3.org/2000/svg"

        class Pointing {
            constructor(root) {
                this.root = root
                this.mode = "move"
                this.canvas = document.createElement("canvas")
                this.shape = document.createElementNS(SVG, "svg")
                this.outline = this.shape.appendChild(document.createElementNS(SVG, "path"))
                for (const layer of [this.canvas, this.shape]) {
                    layer.setAttribute("aria-hidden", "true")
                    layer.style = "position:absolute;inset:0;width:100%;height:100%;" +
                        "pointer-events:none"
                }
                this.listeners = [
                    [window, "pointermove", event => this.move(event)],
                    [window, "pointerup", event => this.end(event)],
                    [window, "pointercancel", () => this.drop()],
                    [window, "keydown", event => event.key === "Escape" && this.drop()],
                ]
                for (const [on, name, act] of this.listeners) on.addEventListener(name, act)
                // The figure may appear later than this, or be replaced.
                this.watch = setInterval(() => this.find(), 200)
            }

            leave() {
                clearInterval(this.watch)
                for (const [on, name, act] of this.listeners) on.removeEventListener(name, act)
                this.canvas.remove()
                this.shape.remove()
            }

            // The server has answered: draw its marks, and drop the outline.
            update(data, send) {
                this.data = data
                this.send = send
                this.outline.removeAttribute("d")
                const words = Object.entries(data.modes)
                const choices = this.root.querySelector("fieldset > div")
                if (!choices.childElementCount) for (const [mode, said] of words) {
                    const label = choices.appendChild(document.createElement("label"))
                    const input = label.appendChild(document.createElement("input"))
                    Object.assign(input, { type: "radio", name: "mouse", value: mode,
                        checked: mode === this.mode })
                    input.onchange = () => { this.mode = mode; this.point() }
                    label.appendChild(document.createElement("span")).textContent = said
                }
                this.find()
                this.draw()
            }

            find() {
                const figure = document.querySelector(`.st-key-${this.data.key} .js-plotly-plot`)
                if (!figure?._fullLayout?.xaxis || !figure.on) return
                if (figure !== this.figure) {
                    this.figure = figure
                    figure.marks = () => this.marks()
                    figure.on("plotly_afterplot", () => this.draw())
                    figure.on("plotly_relayouting", () => this.draw())
                    figure.on("plotly_click", event => this.take(event.points[0]))
                    for (const name of ["pointerdown", "mousedown", "touchstart"])
                        figure.addEventListener(name, event => this.begin(event), true)
                    figure.addEventListener("mousemove", event => {
                        if (this.corners) event.stopPropagation()
                    }, true)
                }
                // Above the points, below the hover text.
                const words = figure.querySelector(".svg-container > .main-svg:last-of-type")
                if (words && this.canvas.parentNode !== words.parentNode) {
                    words.before(this.canvas, this.shape)
                    this.draw()
                }
                this.point()
            }

            // The cursor over the plot shows what the mouse does there.
            point() {
                const plot = this.figure?.querySelector(".nsewdrag")
                if (!plot) return
                const draws = this.mode !== "move"
                plot.style.cursor = draws ? "crosshair" : ""
                plot.style.touchAction = draws ? "none" : ""
            }

            place(event) {
                const box = this.figure.getBoundingClientRect()
                const { xaxis: x, yaxis: y } = this.figure._fullLayout
                // A printed or zoomed page scales the figure as a whole.
                const scale = box.width / this.figure.offsetWidth || 1
                const within = (value, axis) =>
                    Math.min(Math.max(value, axis._offset), axis._offset + axis._length)
                return [within((event.clientX - box.left) / scale, x),
                    within((event.clientY - box.top) / scale, y)]
            }

            begin(event) {
                if (this.mode === "move" || !event.target.closest(".nsewdrag")) return
                // Otherwise the figure would move, too.
                event.stopPropagation()
                if (event.type !== "pointerdown" || event.button || this.corners) return
                event.preventDefault()
                this.pointer = event.pointerId
                this.corners = [this.place(event)]
            }

            move(event) {
                if (!this.corners || event.pointerId !== this.pointer) return
                const at = this.place(event), last = this.corners.at(-1)
                if (this.mode === "lasso") {
                    if (Math.hypot(at[0] - last[0], at[1] - last[1]) < FAR) return
                    this.corners.push(at)
                } else {
                    const [x, y] = this.corners[0]
                    this.corners = [[x, y], [at[0], y], at, [x, at[1]]]
                }
                const { ink } = this.data
                this.outline.setAttribute("d", `M${this.corners.join("L")}Z`)
                this.outline.style = `fill:${ink};fill-opacity:0.08;fill-rule:evenodd;` +
                    `stroke:${ink};stroke-width:1.5;stroke-dasharray:5 3`
            }

            end(event) {
                if (!this.corners || event.pointerId !== this.pointer) return
                const corners = this.corners
                this.corners = undefined
                const size = side => Math.max(...corners.map(at => at[side])) -
                    Math.min(...corners.map(at => at[side]))
                if (Math.max(size(0), size(1)) <= FAR) {
                    this.outline.removeAttribute("d")
                    this.take(this.figure._hoverdata?.[0])
                    return
                }
                const { xaxis: x, yaxis: y } = this.figure._fullLayout
                const every = Math.ceil(corners.length / MOST)
                this.send("drawn", corners.filter((_, i) => i % every === 0).map(at =>
                    [x.p2l(at[0] - x._offset), y.p2l(at[1] - y._offset)]))
            }

            drop() {
                this.corners = undefined
                this.outline.removeAttribute("d")
            }

            take(point) {
                if (point && Number.isInteger(point.pointNumber))
                    this.send("taken", [point.curveNumber, point.pointNumber])
            }

            // The points that the server marks, one bit per point of a trace; or all others.
            points(chosen) {
                const found = []
                this.data.chosen.forEach((bits, curve) => {
                    const trace = this.figure._fullData[curve]
                    const bytes = Uint8Array.from(atob(bits), one => one.charCodeAt(0))
                    for (let i = 0; trace && i < trace.x.length; i++)
                        if (!!(bytes[i >> 3] & (128 >> (i & 7))) === chosen)
                            found.push([trace.x[i], trace.y[i]])
                })
                return found
            }

            // What is drawn around which points. Very many rings would hide one another, so
            // then the other points fade instead.
            layers() {
                const { ink, paper, ring } = this.data
                const chosen = this.points(true), many = chosen.length > MANY
                const others = many ? this.points(false) : []
                const count = points => points.length.toLocaleString("en")
                const [curve, i] = ring ?? []
                const trace = this.figure._fullData[curve]
                const current = trace && i < trace.x.length ? [[trace.x[i], trace.y[i]]] : []
                return [
                    { name: `faded: not chosen (${count(others)})`, points: others, fill: paper,
                        size: 9 },
                    { name: `chosen (${count(chosen)})`, points: many ? [] : chosen, stroke: ink,
                        size: 13, width: 2 },
                    { name: "chosen example", points: current, stroke: ink, size: 22, width: 3 },
                ].filter(layer => layer.points.length)
            }

            draw() {
                const layout = this.figure?._fullLayout
                if (!layout?.xaxis?._length || !this.canvas.parentNode) return
                const { xaxis: x, yaxis: y, width, height } = layout
                const sharp = window.devicePixelRatio || 1
                this.canvas.width = width * sharp
                this.canvas.height = height * sharp
                const pen = this.canvas.getContext("2d")
                pen.scale(sharp, sharp)
                pen.beginPath()
                pen.rect(x._offset, y._offset, x._length, y._length)
                pen.clip()
                for (const { points, size, width, stroke, fill } of this.layers()) {
                    const drawn = new Set()
                    pen.beginPath()
                    for (const [right, up] of points) {
                        const at = [x._offset + x.l2p(right), y._offset + y.l2p(up)]
                        // Where points overlap exactly, one is enough.
                        const pixel = Math.round(at[0]) * 65536 + Math.round(at[1])
                        if (drawn.has(pixel)) continue
                        drawn.add(pixel)
                        pen.moveTo(at[0] + size / 2, at[1])
                        pen.arc(...at, size / 2, 0, 2 * Math.PI)
                    }
                    Object.assign(pen, { lineWidth: width ?? 1, strokeStyle: stroke ?? "",
                        fillStyle: fill ?? "", globalAlpha: fill ? FADED : 1 })
                    if (fill) pen.fill()
                    if (stroke) pen.stroke()
                }
            }

            // The same for a saved file: it shows what the screen shows.
            marks() {
                return this.layers().map(({ name, points, size, width, stroke, fill }) => ({
                    type: "scattergl", mode: "markers", name,
                    x: points.map(at => at[0]), y: points.map(at => at[1]),
                    marker: { size, symbol: fill ? "circle" : "circle-open",
                        // In a file, each trace fades what is below it.
                        color: fill ?? stroke, opacity: fill ? FADED / 3 : 1, line: { width } },
                }))
            }
        }

        const all = new WeakMap()

        export default function ({ parentElement, data, setTriggerValue }) {
            if (!all.has(parentElement)) all.set(parentElement, new Pointing(parentElement))
            all.get(parentElement).update(data, setTriggerValue)
            return () => {
                all.get(parentElement)?.leave()
                all.delete(parentElement)
            }
        }
    """,
)


class Marks(NamedTuple):
    """What is marked in a figure.

    Attributes
    ----------
    ring : (int, int) or None
        The current point: its trace and its number in it.
    chosen : sequence of ndarray of bool
        Which points of each trace are chosen.
    """

    ring: tuple[int, int] | None = None
    chosen: Sequence[Mask] = ()


def pointing(
    key: str,
    modes: Mapping[str, str],
    on_point: Callable[[int, int], None],
    on_outline: Callable[[list[tuple[float, float]]], None],
    marks: Marks,
) -> None:
    """Draw the choice of what the mouse does in the figure of element `key`.

    A click selects a point in every mode. Leave the figure's ``on_select`` at its default, or
    Streamlit sends and draws the figure again.

    Parameters
    ----------
    key : str
        Key of the figure's Streamlit element.
    modes : mapping of str to str
        What a drag does, in words: ``"move"`` (the first), ``"box"``, ``"lasso"``.
    on_point : callable
        Called with the number of a trace and the number of a point in it.
    on_outline : callable
        Called with the corners of a box or a lasso, in the units of the axes.
    marks : Marks
        What to draw around points, on screen and in a saved file.
    """
    name = f"{key}-pointing"

    def taken() -> None:
        found = _numbers(st.session_state[name].get("taken"))
        if len(found) == 2 and min(found) >= 0:
            on_point(int(found[0]), int(found[1]))

    def drawn() -> None:
        asked = st.session_state[name].get("drawn")
        corners = [_numbers(one) for one in asked] if isinstance(asked, list) else []
        if 3 <= len(corners) <= _MOST_CORNERS and all(len(corner) == 2 for corner in corners):
            on_outline([(x, y) for x, y in corners])

    _POINTING(
        key=name,
        data={
            "key": key,
            "modes": dict(modes),
            "ink": theme().ink,
            "paper": theme().paper,
            "ring": marks.ring,
            "chosen": [
                base64.b64encode(np.packbits(one).tobytes()).decode() for one in marks.chosen
            ],
        },
        on_taken_change=taken,
        on_drawn_change=drawn,
        width="content",
        height="content",
    )


def _numbers(asked: Any) -> list[float]:
    """Return what a browser sent as numbers, or nothing if it is anything else."""
    given = asked if isinstance(asked, list | tuple) else []
    plain = all(isinstance(one, int | float) and math.isfinite(one) for one in given)
    return list(given) if plain else []
