"""Render, edit, train, in rounds, with everything kept: schedule, targets, folder, resume, page."""
