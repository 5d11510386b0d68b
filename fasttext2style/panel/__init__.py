"""The panel of a live session on a page of viser: elements and gestures become jobs. It knows viser, and no nerfstudio.

panel.py all of it · top_bar.py what stays in sight · edit_tab.py, colors_tab.py, objects_tab.py, surroundings_tab.py,
save_tab.py its tabs · elements.py how they are made
mouse.py clicks and drawings · page.py, page.js, page.css what viser's page lacks · view.py what it needs of whoever
renders
"""
