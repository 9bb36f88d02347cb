//! Handles keys.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::board::{Board, Sort};

/// By how many rows the keys for pages scroll.
const PAGE: usize = 10;

/// Handles an event of the terminal. Returns whether it was to quit.
pub(super) fn handle(board: &mut Board, event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    if key.kind == KeyEventKind::Release {
        return false;
    }
    let is_interrupt =
        key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    if is_interrupt {
        return true;
    }
    if board.is_filtering {
        filter(board, key);
        return false;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('/') => board.is_filtering = true,
        KeyCode::Char('c') => board.filter.clear(),
        KeyCode::Char(letter) => {
            let sort = Sort::ALL.into_iter().find(|sort| sort.label().0 == letter);
            board.sort = sort.unwrap_or(board.sort);
        }
        KeyCode::Down => board.scrolled += 1,
        KeyCode::Up => board.scrolled = board.scrolled.saturating_sub(1),
        KeyCode::PageDown => board.scrolled += PAGE,
        KeyCode::PageUp => board.scrolled = board.scrolled.saturating_sub(PAGE),
        KeyCode::Home => board.scrolled = 0,
        _ => {}
    }
    // No further than there are rows.
    board.scrolled = board.scrolled.min(board.rows().len().saturating_sub(1));
    false
}

fn filter(board: &mut Board, key: &KeyEvent) {
    match key.code {
        KeyCode::Enter => board.is_filtering = false,
        KeyCode::Esc => {
            board.is_filtering = false;
            board.filter.clear();
        }
        KeyCode::Backspace => {
            board.filter.pop();
        }
        KeyCode::Char(letter) => board.filter.push(letter),
        _ => {}
    }
    board.scrolled = 0;
}
