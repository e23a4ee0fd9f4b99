"""What a visitor can do with a figure apart from looking at it: save it or print it."""

from __future__ import annotations

import streamlit as st

_TOOLS = st.components.v2.component(
    "figure_tools",
    html="""
        <span>Save as</span>
        <button type="button" value="png" aria-label="Save this figure as PNG">PNG</button>
        <button type="button" value="svg" aria-label="Save this figure as SVG">SVG</button>
    """,
    css="""
        :host { display: block }
        span, button { font: inherit; font-size: 0.875rem; color: var(--st-text-color) }
        button {
            cursor: pointer; background: transparent; padding: 0 0.25rem;
            border: none; text-decoration: underline; text-underline-offset: 0.2em;
        }
        button:hover { color: var(--st-link-color) }
        button:focus-visible { outline: 2px solid var(--st-link-color) }
        @media print { span, button { display: none } }
    """,
    js="""
        const PAPER = 700  // CSS pixels between the margins of A4.
        const FONTS = "Arial, Helvetica, Liberation Sans, sans-serif"

        export default function ({ parentElement, data }) {
            const plot = () => document.querySelector(`.st-key-${data.key} .js-plotly-plot`)

            function save(format) {
                // The camera button in the figure's own bar draws the file; it reads what to draw
                // at the moment of the click.
                const figure = plot()
                const camera = figure?.querySelector('.modebar-btn[data-title^="Download plot"]')
                if (!camera) return
                const before = figure._context.toImageButtonOptions
                figure._context.toImageButtonOptions = { ...before, format,
                    // An SVG is sharp at any size.
                    scale: format === "svg" ? 1 : before.scale }
                const { data, layout } = figure
                // Marks on top of the figure; see point_selection.py.
                figure.data = [...data, ...(figure.marks?.() ?? [])]
                // A standalone picture lacks this page's fonts: words would be wider than the
                // room measured for them.
                figure.layout = { ...layout, font: { ...layout.font, family: FONTS } }
                camera.click()
                Object.assign(figure, { data, layout })
                figure._context.toImageButtonOptions = before
            }

            function fit() {
                const figure = plot()
                if (figure) figure.style.zoom = Math.min(1, PAPER / figure.offsetWidth)
            }

            function restore() {
                const figure = plot()
                if (figure) figure.style.zoom = ""
            }

            for (const button of parentElement.querySelectorAll("button"))
                button.onclick = () => save(button.value)
            window.addEventListener("beforeprint", fit)
            window.addEventListener("afterprint", restore)
            return () => {
                window.removeEventListener("beforeprint", fit)
                window.removeEventListener("afterprint", restore)
            }
        }
    """,
)


def figure_tools(key: str) -> None:
    """Draw the buttons that save the figure of element `key`, and make it fit on paper.

    Files get the name that the figure's camera button gives them.
    """
    _TOOLS(key=f"{key}-tools", data={"key": key})
