"""How the page looks: theme and style; everything comes from this process, nothing from a CDN."""

from pathlib import Path
from typing import Any

import gradio as gr

_CSS = Path(__file__).with_name("page.css")

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Calm slate, one deep teal for what can be pressed, fonts of the visitor's own system."""
    made: Any = gr.themes.Base(
        primary_hue="teal",
        secondary_hue="slate",
        neutral_hue="slate",
        radius_size="sm",
        font=_SANS,
        font_mono=_MONO,
    )
    return made.set(
        button_primary_background_fill="#0f5c5c",
        button_primary_background_fill_hover="#0b4747",
        button_primary_background_fill_dark="#0f766e",
        button_primary_text_color="#ffffff",
        block_label_text_color="#334155",
        block_label_text_color_dark="#cbd5e1",
        block_info_text_color="#52606d",
        block_info_text_color_dark="#a3b0bd",
        checkbox_background_color_selected="#0f5c5c",
        checkbox_border_color_selected="#0f5c5c",
        block_title_text_color="#1e293b",
        block_title_text_weight="600",
        block_title_text_color_dark="#e6ebf1",
        input_placeholder_color="#5b6776",
        input_placeholder_color_dark="#9aa7b5",
        input_background_fill="#ffffff",
        input_border_width="1px",
        input_border_color="#c5ced8",
    )


def style() -> str:
    """Style sheet for the page's head: given as CSS, the library would drop container queries."""
    return f"<style>{_CSS.read_text(encoding='utf-8')}</style>"
